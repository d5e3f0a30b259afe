# shellcheck shell=bash
# shellcheck disable=SC2154 # the variables are set by setup-aws.sh
#
# Removes what setup-aws.sh made, after asking: job definition, stack, secret, bucket. What is gone
# already is passed over. A bucket with anything in it stays unless --delete-data was given; a
# bucket or a secret that was not made here stays in any case. Sourced by setup-aws.sh.

tear_down() {
  local bucket_fate secret_fate wanted=$name typed=""
  judge_bucket
  judge_secret
  say "This removes from account $account, region $region:"
  say "  stack $name: job queue, compute environments, roles, logs, image repository with its images,"
  say "    and the network if it was made here; running jobs are ended"
  say "  job definition $name, all revisions"
  [[ $secret_fate != remove ]] || say "  secret $secret, which can be restored for 7 days"
  case $bucket_fate in
    remove) say "  bucket $bucket, which is empty" ;;
    empty)
      wanted=$bucket
      say "  bucket $bucket WITH EVERYTHING IN IT: data, labels, and the answers that were paid for"
      ;;
    full) say "It leaves bucket $bucket, which is not empty (--delete-data removes that as well)." ;;
    foreign) say "It leaves bucket $bucket, which was not made by this script." ;;
  esac
  [[ $secret_fate != foreign ]] || say "It leaves secret $secret, which was not made by this script."
  if ! $dry_run; then
    printf 'Type %s to go on: ' "$wanted" >&2
    IFS= read -r typed || true
    [[ $typed == "$wanted" ]] || die "nothing was removed: '$wanted' was not typed"
  fi
  remove_job_definitions
  remove_stack
  if [[ $secret_fate == remove ]]; then
    change "remove secret $secret" secretsmanager delete-secret --secret-id "$secret" \
      --recovery-window-in-days 7
  fi
  if [[ $bucket_fate == empty ]]; then empty_bucket; fi
  if [[ $bucket_fate == empty || $bucket_fate == remove ]]; then
    change "remove bucket $bucket" s3api delete-bucket --bucket "$bucket"
  fi
  if [[ -f $root/config.env ]] && ! $dry_run; then rm -f "$root/config.env"; fi
}

# Sets $bucket_fate: none (or not ours), foreign, remove (empty), full, or empty (to be emptied,
# then removed).
judge_bucket() {
  if ! lookup '\(40[34]\)|\(301\)' "look up bucket $bucket" s3api head-bucket \
    --bucket "$bucket" --expected-bucket-owner "$account"; then
    bucket_fate=none
  elif ! made_here "$bucket"; then
    bucket_fate=foreign
  else
    count_versions "$bucket"
    bucket_fate=remove
    if [[ $answer != 0 ]]; then
      bucket_fate=full
      if $delete_data; then bucket_fate=empty; fi
    fi
  fi
}

# Sets $secret_fate: none (or waiting for its deletion already), foreign, or remove.
judge_secret() {
  local deleted project
  secret_fate=none
  lookup 'ResourceNotFoundException' "look up secret $secret" secretsmanager describe-secret \
    --secret-id "$secret" --query "[DeletedDate, Tags[?Key=='project'].Value | [0]]" \
    --output text || return 0
  read -r deleted project <<< "$answer"
  [[ $deleted == None ]] || return 0
  secret_fate=foreign
  [[ $project != "$name" ]] || secret_fate=remove
}

remove_job_definitions() {
  local revisions arn
  call "look up job definition $name" batch describe-job-definitions --job-definition-name "$name" \
    --status ACTIVE --query 'jobDefinitions[].jobDefinitionArn' --output text
  revisions=$answer
  for arn in $revisions; do
    [[ $arn == None ]] ||
      change "remove job definition $arn" batch deregister-job-definition --job-definition "$arn"
  done
}

remove_stack() {
  if [[ $stack_status == *_IN_PROGRESS && $stack_status != REVIEW_IN_PROGRESS ]] && ! $dry_run; then
    say "stack $name is $stack_status: waiting"
    wait_for_stack
  fi
  [[ -n $stack_status ]] || return 0
  change "remove stack $name (a few minutes)" cloudformation delete-stack --stack-name "$name"
  $dry_run || stack_is_gone
}

# Every version of every object, 500 at a time.
empty_bucket() {
  if $dry_run; then
    say "would remove every version of every object in bucket $bucket"
    return
  fi
  say "remove every version of every object in bucket $bucket"
  while true; do
    call "list bucket $bucket" s3api list-object-versions --bucket "$bucket" --max-keys 500 \
      --no-paginate --output json --query \
      "{Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}, Quiet: \`true\`}"
    [[ $answer == *VersionId* ]] || return 0
    printf '%s\n' "$answer" > "$scratch/versions.json"
    call "remove objects of bucket $bucket" s3api delete-objects --bucket "$bucket" \
      --delete "file://$scratch/versions.json" --query 'Errors[0].[Key, Code]' --output text
    # It answers 200 even where it removed nothing.
    [[ -z $answer || $answer == None ]] || die "cannot remove s3://$bucket/${answer/$'\t'/: }"
  done
}
