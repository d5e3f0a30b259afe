# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables are set and used by setup-aws.sh
#
# What must outlive everything else: the bucket with the data and the paid answers, and the secret
# with the API key. Both are made if they are missing, then given their settings. Sourced by
# setup-aws.sh.

# Bucket policy statement and lifecycle rules by which their maker is known.
readonly TLS_SID=PseudolabelTlsOnly RULE_ID=pseudolabel-tidy
readonly MADE_BY=setup-aws.sh

keep_bucket() {
  local ours=false marked=false
  if lookup '\(404\)|\(403\)|\(301\)' "look up bucket $bucket" s3api head-bucket --bucket "$bucket"; then
    call "ask where bucket $bucket lies" s3api get-bucket-location --bucket "$bucket" \
      --query "LocationConstraint || 'us-east-1'" --output text
    [[ $answer == "$region" ]] ||
      die "bucket $bucket lies in $answer, not in $region: give --region $answer or another --bucket"
    say "bucket $bucket is there"
    # One with other tags is somebody's, whatever its name: marking it would replace them.
    if made_here "$bucket"; then ours=true; else [[ -z $answer ]] || marked=true; fi
    ! $ours || marked=true
  elif grep -q '(403)' "$scratch/error"; then
    die "bucket $bucket belongs to another account, or this login may not use it: give another --bucket"
  elif grep -q '(301)' "$scratch/error"; then
    die "bucket $bucket lies in another region than $region: give its --region or another --bucket"
  else
    ours=true
    local place=()
    # The one region that must not be named.
    [[ $region == us-east-1 ]] ||
      place=(--create-bucket-configuration "LocationConstraint=$region")
    change "create bucket $bucket" s3api create-bucket --bucket "$bucket" ${place[@]+"${place[@]}"}
  fi
  # A run that broke off right after creating the bucket left no mark; its own name tells.
  [[ $bucket != "$default_bucket" ]] || ours=true
  if $ours && ! $marked; then
    change "mark bucket $bucket as made here" s3api put-bucket-tagging --bucket "$bucket" \
      --tagging "TagSet=[{Key=made-by,Value=$MADE_BY},{Key=project,Value=$name}]"
  fi
  bucket_settings "$ours"
}

# Whether the bucket was made by this script; $answer is empty if it has no tags at all.
made_here() {
  lookup NoSuchTagSet "read the tags of bucket $1" s3api get-bucket-tagging --bucket "$1" \
    --query "TagSet[?Key=='made-by'].Value | [0]" --output text && [[ $answer == "$MADE_BY" ]]
}

# Versioned, encrypted, private, TLS only, without remains of aborted uploads. A policy or lifecycle
# of somebody else is never overwritten.
bucket_settings() {
  local ours=$1 resource=arn:$partition:s3:::$bucket
  if ! $ours && lookup NoSuchBucketPolicy "ask whether bucket $bucket is public" s3api \
    get-bucket-policy-status --bucket "$bucket" --query PolicyStatus.IsPublic --output text &&
    [[ $answer == True ]]; then
    die "bucket $bucket is public, and this would close it: give another --bucket"
  fi
  change "block public access to bucket $bucket" s3api put-public-access-block \
    --bucket "$bucket" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
  change "turn versioning on" s3api put-bucket-versioning --bucket "$bucket" \
    --versioning-configuration Status=Enabled
  # S3 encrypts every bucket; somebody's may be set to a key of their own.
  ! $ours || change "turn encryption on" s3api put-bucket-encryption --bucket "$bucket" \
    --server-side-encryption-configuration \
    '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
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

# Looks the secret up and gets hold of the key if one is needed, so that nothing is made without it.
look_up_secret() {
  secret_deleted=None secret_versions=0
  if lookup ResourceNotFoundException "look up secret $secret" secretsmanager describe-secret \
    --secret-id "$secret" --output text \
    --query "[ARN, DeletedDate, length(VersionIdsToStages || \`{}\`)]"; then
    read -r secret_arn secret_deleted secret_versions <<< "$answer"
    say "secret $secret is there"
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
    printf 'Upstage API key (not shown): ' >&2
    IFS= read -rs api_key || true
    say
  else
    api_key=$(cat)
  fi
  [[ -n $api_key ]] || die "no API key: set UPSTAGE_API_KEY, or give it on standard input"
}

check_key() {
  local LC_ALL=C
  [[ $api_key =~ ^[[:graph:]]*$ ]] ||
    die "the API key has spaces or special characters: give the key alone, on one line"
}
