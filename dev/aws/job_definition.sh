# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables are set and used by setup-aws.sh
#
# Fills batch-job-def.json in and registers it as a revision of the job definition, unless the
# newest one is the same already. Sourced by setup-aws.sh.

# Every name that batch-job-def.json may hold as ${NAME}, besides DIGEST.
readonly PLACEHOLDERS=(
  AWS_REGION AWS_SECRET_ARN EXECUTION_ROLE_ARN IMAGE JOB_DEFINITION JOB_ROLE_ARN LOG_GROUP S3_BUCKET
)

# Sets $revision to the ARN of the revision that is now the newest. Without an image given it keeps
# the one that is in use, so that setting up again does not undo a deployment.
register_job_definition() {
  local text placeholder value digest newest="" used="" image=""
  if [[ -n ${JOB_DEFINITION-} ]]; then
    call "look up job definition $JOB_DEFINITION" batch describe-job-definitions \
      --job-definition-name "$JOB_DEFINITION" --status ACTIVE --output text --query \
      'reverse(sort_by(jobDefinitions, &revision))[0].[jobDefinitionArn, tags.definition, containerProperties.image]'
    read -r newest used image <<< "$answer"
    [[ -n $image || -z ${ECR_REPOSITORY-} ]] || image=$ECR_REPOSITORY:latest
    IMAGE=${IMAGE:-$image}
  fi
  text=$(< "$root/batch-job-def.json")
  for placeholder in "${PLACEHOLDERS[@]}"; do
    value=${!placeholder-}
    [[ -n $value ]] ||
      die "$placeholder is not set: run ./setup-aws.sh first, or set it in the environment or config.env"
    [[ $value =~ ^[A-Za-z0-9:/._@-]+$ ]] || die "$placeholder has characters it can't have: '$value'"
    text=${text//"\${$placeholder}"/$value}
  done
  digest=$(cksum <<< "$text")
  digest=${digest// /-}
  printf '%s\n' "${text//"\${DIGEST}"/$digest}" > "$scratch/job-definition.json"
  if [[ $used == "$digest" ]]; then
    revision=$newest
    say "job definition: $revision is up to date"
    return
  fi
  change "register a revision of job definition $JOB_DEFINITION with image $IMAGE" \
    batch register-job-definition --cli-input-json "file://$scratch/job-definition.json" \
    --query jobDefinitionArn --output text
  $dry_run || revision=$answer
}
