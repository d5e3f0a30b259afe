# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables are set and used by setup-aws.sh
#
# What must outlive everything else: the bucket with the data and the paid answers, and the secret
# with the API key. Both are made if they are missing, then given their settings. One that was not
# made here is used only when an option names it, keeps what its owner set, and is never removed.
# Sourced by setup-aws.sh.

# Bucket policy statement and lifecycle rules by which their maker is known.
readonly TLS_SID=PseudolabelTlsOnly RULE_ID=pseudolabel-tidy
readonly MADE_BY=setup-aws.sh

# Looks the bucket up, so that nothing is made before it is known to be usable, and sets
# $bucket_origin: new, marked (made here), bare (made here by a run that broke off right after, or
# as good as that: nothing lies in it and nothing was set), or foreign.
look_up_bucket() {
  # Names of buckets are not the account's own: somebody else may have taken this one.
  if lookup '\(404\)|\(403\)|\(301\)' "look up bucket $bucket" s3api head-bucket \
    --bucket "$bucket" --expected-bucket-owner "$account"; then
    call "ask where bucket $bucket lies" s3api get-bucket-location --bucket "$bucket" \
      --query "LocationConstraint || 'us-east-1'" --output text
    [[ $answer == "$region" ]] ||
      die "bucket $bucket lies in $answer, not in $region: give --region $answer or another --bucket"
    say "bucket $bucket is there"
    bucket_origin=foreign
    if made_here "$bucket"; then
      bucket_origin=marked
    elif [[ -z $answer && $bucket == "$default_bucket" ]] && is_bare "$bucket"; then
      bucket_origin=bare
    fi
  elif grep -q '(403)' "$scratch/error"; then
    die "bucket $bucket belongs to another account, or this login may not use it: give another --bucket"
  elif grep -q '(301)' "$scratch/error"; then
    die "bucket $bucket lies in another region than $region: give its --region or another --bucket"
  else
    bucket_origin=new
  fi
  [[ $bucket_origin == foreign ]] || return 0
  # What an earlier run was told is in the stack.
  [[ -n $given_bucket || $bucket == "$stack_bucket" ]] ||
    die "bucket $bucket was not made by this script: give --bucket $bucket to use it all the same, or another --bucket"
  refuse_public_bucket
}

keep_bucket() {
  if [[ $bucket_origin == new ]]; then
    local place=()
    # The one region that must not be named.
    [[ $region == us-east-1 ]] ||
      place=(--create-bucket-configuration "LocationConstraint=$region")
    change "create bucket $bucket" s3api create-bucket --bucket "$bucket" ${place[@]+"${place[@]}"}
  fi
  if [[ $bucket_origin == new || $bucket_origin == bare ]]; then
    change "mark bucket $bucket as made here" s3api put-bucket-tagging --bucket "$bucket" \
      --tagging "TagSet=[{Key=made-by,Value=$MADE_BY},{Key=project,Value=$name}]"
  fi
  bucket_settings
}

# Whether the bucket was made by this script, for this name; $answer is empty if it has no tags at
# all.
made_here() {
  lookup NoSuchTagSet "read the tags of bucket $1" s3api get-bucket-tagging --bucket "$1" --query \
    "[TagSet[?Key=='made-by'].Value | [0], TagSet[?Key=='project'].Value | [0]]" --output text &&
    [[ $answer == "$MADE_BY"$'\t'"$name" || $answer == "$MADE_BY"$'\tNone' ]]
}

# Whether a bucket is as it was when it was created: empty, and never versioned.
is_bare() {
  count_versions "$1"
  [[ $answer == 0 ]] || return 1
  call "ask whether bucket $1 is versioned" s3api get-bucket-versioning --bucket "$1" \
    --query Status --output text
  [[ $answer == None ]]
}

# Sets $answer to 0 if nothing lies in the bucket, no old version either.
count_versions() {
  call "look into bucket $1" s3api list-object-versions --bucket "$1" --max-keys 1 \
    --no-paginate --query 'length([Versions, DeleteMarkers][])' --output text
}

# The settings would close a bucket that is public by intent, by its policy or by its ACL.
refuse_public_bucket() {
  local public=false
  if lookup NoSuchBucketPolicy "ask whether bucket $bucket is public" s3api \
    get-bucket-policy-status --bucket "$bucket" --query PolicyStatus.IsPublic --output text &&
    [[ $answer == True ]]; then
    public=true
  fi
  call "read the ACL of bucket $bucket" s3api get-bucket-acl --bucket "$bucket" \
    --query 'Grants[].Grantee.URI' --output text
  [[ $answer != */global/* ]] || public=true
  ! $public || die "bucket $bucket is public, and this would close it: give another --bucket"
}

# Versioned, encrypted, private, TLS only, without remains of aborted uploads. A policy or lifecycle
# of somebody else is never overwritten.
bucket_settings() {
  local resource=arn:$partition:s3:::$bucket
  change "block public access to bucket $bucket" s3api put-public-access-block \
    --bucket "$bucket" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
  change "turn versioning on" s3api put-bucket-versioning --bucket "$bucket" \
    --versioning-configuration Status=Enabled
  # S3 encrypts every bucket; one may have been set to a key of somebody's own since it was made.
  if [[ $bucket_origin != foreign ]] && ! own_encryption; then
    change "turn encryption on" s3api put-bucket-encryption --bucket "$bucket" \
      --server-side-encryption-configuration \
      '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
  fi
  if ! lookup NoSuchBucket \
    "read the policy of bucket $bucket" s3api get-bucket-policy --bucket "$bucket" --output text ||
    [[ $answer == *"$TLS_SID"* ]]; then
    change "refuse connections without TLS" s3api put-bucket-policy --bucket "$bucket" --policy \
      '{
        "Version": "2012-10-17",
        "Statement": [{
          "Sid": "'"$TLS_SID"'", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
          "Resource": ["'"$resource"'", "'"$resource"'/*"],
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}
        }]
      }'
  else
    say "note: bucket $bucket has a policy of its own, left alone; it should deny aws:SecureTransport=false"
  fi
  if ! lookup 'NoSuchLifecycleConfiguration|NoSuchBucket' \
    "read the lifecycle of bucket $bucket" s3api get-bucket-lifecycle-configuration \
    --bucket "$bucket" --query 'Rules[].ID' --output text || [[ $answer == *"$RULE_ID"* ]]; then
    # Old versions: a lease is rewritten every ten seconds, and nothing else would ever remove them.
    change "expire aborted uploads and old versions" s3api put-bucket-lifecycle-configuration \
      --bucket "$bucket" --lifecycle-configuration \
      '{
        "Rules": [{
          "ID": "'"$RULE_ID"'", "Status": "Enabled", "Filter": {"Prefix": ""},
          "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
          "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
          "Expiration": {"ExpiredObjectDeleteMarker": true}
        }]
      }'
  else
    say "note: bucket $bucket has lifecycle rules of its own, left alone; they should end aborted uploads"
  fi
}

# Whether the bucket is encrypted with something else than what is set here.
own_encryption() {
  lookup 'ServerSideEncryptionConfigurationNotFound|NoSuchConfiguration|NoSuchBucket' \
    "read the encryption of bucket $bucket" s3api get-bucket-encryption --bucket "$bucket" \
    --query 'ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault.SSEAlgorithm' \
    --output text && [[ $answer != AES256 ]]
}

# Looks the secret up and gets hold of the key if one is needed, so that nothing is made without it.
look_up_secret() {
  local project
  secret_deleted=None secret_versions=0
  if lookup ResourceNotFoundException "look up secret $secret" secretsmanager describe-secret \
    --secret-id "$secret" --output text --query "[ARN, DeletedDate, \
      length(VersionIdsToStages || \`{}\`), Tags[?Key=='project'].Value | [0]]"; then
    read -r secret_arn secret_deleted secret_versions project <<< "$answer"
    say "secret $secret is there"
    [[ $project == "$name" ]] || $new_key || [[ -z $api_key && $secret_deleted == None ]] ||
      die "secret $secret was not made by this script: --new-key stores the API key in it all the same; without UPSTAGE_API_KEY it is used as it is; or give another --name"
  fi
  if [[ $secret_versions == 0 ]] || $new_key; then read_key; fi
  check_key
}

keep_secret() {
  if [[ -z $secret_arn ]]; then
    change "create secret $secret with the API key" secretsmanager create-secret --name "$secret" \
      --description "API key of pseudolabel" --tags "Key=project,Value=$name" --query ARN \
      --output text --secret-string file:///dev/stdin < <(printf %s "$api_key")
    secret_arn="(new)"
    $dry_run || secret_arn=$answer
    return
  fi
  [[ $secret_deleted == None ]] || change "restore secret $secret, which was waiting for its deletion" \
    secretsmanager restore-secret --secret-id "$secret"
  if [[ -n $api_key ]] || $new_key || [[ $secret_versions == 0 ]]; then
    change "store the API key" secretsmanager put-secret-value --secret-id "$secret" \
      --secret-string file:///dev/stdin < <(printf %s "$api_key")
  else
    say "the API key stays as it is (--new-key replaces it)"
  fi
}

# The API key, from UPSTAGE_API_KEY, the terminal or standard input; a dry run needs none.
read_key() {
  if [[ -n $api_key ]] || $dry_run; then
    return
  elif [[ -t 0 ]]; then
    local without=""
    [[ $textract != yes ]] || without=", empty for none"
    printf 'Upstage API key (not shown%s): ' "$without" >&2
    IFS= read -rs api_key || true
    say
  else
    api_key=$(cat)
  fi
  if [[ -z $api_key && $textract == yes ]] && ! $new_key; then
    # Textract wants none. The secret is there all the same, so that --new-key can put one into it.
    api_key=none
    say "no API key is given: jobs can ask Textract alone, until --new-key stores one"
  fi
  [[ -n $api_key ]] || die "no API key: set UPSTAGE_API_KEY, or give it on standard input"
}

check_key() {
  local LC_ALL=C
  # What the program refuses (lib/engine/access.ts) is refused here, before it is stored.
  [[ $api_key =~ ^[[:graph:]]*$ ]] ||
    die "the API key has spaces or special characters: give the key alone, on one line"
  [[ $api_key != *[\"\']* ]] || die "the API key has quotes: give the key alone, without them"
  [[ $api_key != "{"* ]] || die "the API key begins with a brace: give the key alone"
}
