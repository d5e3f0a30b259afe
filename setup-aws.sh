#!/usr/bin/env bash
#
# Makes everything that pseudolabel needs on AWS, or removes it. Run it again at any time: it
# completes what is missing and leaves alone what is right. See --help and docs/OPERATIONS.md.
#
# The bucket and the secret are made by calls (dev/aws/keep.sh), as they must outlive everything
# else; the rest is the CloudFormation stack dev/aws/stack.yaml.

set -euo pipefail
# The API key must not show in a trace.
{ set +x; } 2> /dev/null
unset CDPATH
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/aws/client.sh
source "$root/dev/aws/client.sh"
# shellcheck source=dev/aws/keep.sh
source "$root/dev/aws/keep.sh"
# shellcheck source=dev/aws/network.sh
source "$root/dev/aws/network.sh"
# shellcheck source=dev/aws/stack.sh
source "$root/dev/aws/stack.sh"
# shellcheck source=dev/aws/job_definition.sh
source "$root/dev/aws/job_definition.sh"
# shellcheck source=dev/aws/teardown.sh
source "$root/dev/aws/teardown.sh"

readonly CONFIG=(
  AWS_REGION AWS_ACCOUNT_ID S3_BUCKET ECR_REPOSITORY AWS_SECRET_ARN JOB_QUEUE JOB_DEFINITION
  LOG_GROUP JOB_ROLE_ARN EXECUTION_ROLE_ARN DEPLOY_ROLE_ARN
)

help() {
  cat << 'END'
Makes what pseudolabel needs on AWS: bucket, secret, image repository, logs, Batch on Fargate Spot,
roles. About five minutes. Safe to run again; options that are not given keep what they were.

  UPSTAGE_API_KEY=… ./setup-aws.sh --region us-east-1

  --region REGION         default: AWS_REGION, config.env, the profile's region
  --name NAME             prefix of everything (default: pseudolabel)
  --bucket BUCKET         default: NAME-ACCOUNT-REGION; made if it does not exist. One that this
                          script did not make is used only if it is named here, keeps its own
                          rules and encryption, and is never removed
  --images-bucket BUCKET  another bucket with images, read only; repeatable; none takes all away
  --vpc VPC               default: the default VPC; without one a small network is made
  --subnets ID,ID         ones from which the internet is reached (default: the VPC's public ones)
  --max-vcpus N           of all running jobs together (default: 4; a job has 0.25)
  --textract              let the job ask Amazon Textract (--engine aws-textract), paid for by this
                          account, without an API key if none is given; --no-textract takes it away
  --new-key               replace the API key: from UPSTAGE_API_KEY, standard input or the terminal;
                          also in a secret that this script did not make
  --github OWNER/REPO     a role for its workflows, without long-lived keys; none takes it away
  --github-ref REF        the one ref that may use it (default: refs/heads/main)
  --dry-run               change nothing; say what would be done
  --register              only register a revision of the job definition, from config.env or the
                          environment; prints its ARN
  --image URI             image of the job definition (default: the one in use, at first the
                          repository's :latest)
  --destroy               remove everything after asking, but nothing that this script did not make;
                          a bucket only if it is empty
  --delete-data           with --destroy: also a bucket with data in it
  --help
END
}

usage() {
  printf "setup-aws.sh: %s. Try --help.\n" "$1" >&2
  exit 2
}

given=()
region="" name=pseudolabel bucket="" images_buckets="" vpc="" subnets="" max_vcpus="" new_key=false
textract=""
github="" github_ref=refs/heads/main dry_run=false mode=setup delete_data=false IMAGE=""

# checked PATTERN NAME VALUE: ends the script unless the value matches.
checked() {
  [[ $3 =~ $1 ]] || usage "$2 is not possible: '$3'"
}

while (($# > 0)); do
  given+=("$1")
  case $1 in
    --help | -h)
      help
      exit
      ;;
    --new-key) new_key=true ;;
    --textract | --no-textract)
      [[ -z $textract ]] || usage "--textract and --no-textract: one of them, once"
      [[ $1 == --textract ]] && textract=yes || textract=no
      ;;
    --dry-run) dry_run=true ;;
    --register) mode=register ;;
    --destroy) mode=destroy ;;
    --delete-data) delete_data=true ;;
    --region | --name | --bucket | --images-bucket | --vpc | --subnets | --max-vcpus | --github | \
      --github-ref | --image)
      (($# > 1)) || usage "$1 needs a value"
      case $1 in
        --region) checked '^[a-z]{2}(-[a-z]+)+-[0-9]$' "$1" "$2" && region=$2 ;;
        --name) checked '^[a-z][a-z0-9-]{0,19}$' "$1" "$2" && name=$2 ;;
        --bucket) checked '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' "$1" "$2" && bucket=$2 ;;
        --images-bucket)
          checked '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' "$1" "$2"
          images_buckets=${images_buckets:+$images_buckets,}$2
          ;;
        --vpc) checked '^vpc-[0-9a-f]+$' "$1" "$2" && vpc=$2 ;;
        --subnets) checked '^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)*$' "$1" "$2" && subnets=$2 ;;
        --max-vcpus) checked '^[1-9][0-9]{0,3}$' "$1" "$2" && max_vcpus=$2 ;;
        --github) checked '^(none|[A-Za-z0-9-]+/[A-Za-z0-9._-]+)$' "$1" "$2" && github=$2 ;;
        --github-ref) checked '^refs/[A-Za-z0-9._/-]+$' "$1" "$2" && github_ref=$2 ;;
        --image) checked '^[A-Za-z0-9:/._@-]+$' "$1" "$2" && IMAGE=$2 ;;
      esac
      shift
      ;;
    *) usage "unknown option '$1'" ;;
  esac
  shift
done
[[ $images_buckets == none || ,$images_buckets, != *,none,* ]] ||
  usage "--images-bucket none stands alone"
[[ -n $github && $github != none || $github_ref == refs/heads/main ]] ||
  usage "--github-ref goes with --github OWNER/REPO"
case $mode in
  register) allowed='--register|--image|--region|--dry-run' ;;
  destroy) allowed='--destroy|--delete-data|--name|--bucket|--region|--dry-run' ;;
  setup) allowed='--[^d].*|--dry-run' ;;
esac
for one in ${given[@]+"${given[@]}"}; do
  [[ $one =~ ^($allowed)$ ]] || usage "$one does not go with ${mode/setup/setting up}"
done

# No child process needs it in its environment.
api_key=${UPSTAGE_API_KEY-}
unset UPSTAGE_API_KEY

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
command -v aws > /dev/null ||
  die "the AWS command line client 'aws' is missing: see https://aws.amazon.com/cli/"

# Values of config.env count where the environment has none. It is read, not run.
read_config() {
  local key value wanted
  [[ -f $root/config.env ]] || return 0
  while IFS='=' read -r key value; do
    for wanted in "${CONFIG[@]}"; do
      [[ $key != "$wanted" || -n ${!key-} ]] || printf -v "$key" %s "$value"
    done
  done < "$root/config.env"
}

# Whatever lies in its place must not be found out when everything is made.
check_config() {
  [[ -f $root/config.env || (! -e $root/config.env && ! -L $root/config.env) ]] ||
    die "$root/config.env is no file: move it away, the result is written there"
  if [[ -e $root/config.env ]]; then [[ -w $root/config.env ]]; else [[ -w $root ]]; fi ||
    die "$root/config.env can't be written: the result goes there"
}

write_config() {
  local key
  for key in "${CONFIG[@]}"; do printf '%s=%s\n' "$key" "${!key-}"; done > "$scratch/config.env"
  $dry_run || cp "$scratch/config.env" "$root/config.env"
}

choose_region() {
  local option=$region
  # One of the environment or the option decides; config.env only where both are silent.
  region=${region:-${AWS_REGION:-${AWS_DEFAULT_REGION-}}}
  if [[ -z $region && -f $root/config.env ]]; then
    region=$(sed -n 's/^AWS_REGION=//p' "$root/config.env")
  fi
  [[ -n $region ]] || region=$(aws configure get region 2> /dev/null) || true
  [[ -n $region ]] || die "no region is known: give --region, for example --region us-east-1"
  [[ -n $option ]] || checked '^[a-z]{2}(-[a-z]+)+-[0-9]$' "the region" "$region"
  # The client reads one or the other, depending on its version.
  export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=""
}

choose_region
if [[ $mode == register ]]; then
  read_config
  register_job_definition
  printf '%s\n' "${revision:-}"
  exit
fi

call "ask AWS who this is" sts get-caller-identity --query '[Account, Arn]' --output text
read -r account caller <<< "$answer"
partition=$(cut -d : -f 2 <<< "$caller")
say "account $account, region $region, as ${caller##*:}"
default_bucket=$name-$account-$region
secret=$name/upstage-api-key
secret_arn=""
read_stack
given_bucket=$bucket
bucket=${bucket:-${stack_bucket:-$default_bucket}}

if [[ $mode == destroy ]]; then
  tear_down
  say "done"
  exit
fi

# What can go wrong for want of the right option comes first, before anything is made.
check_config
settle_stack
choose_network
look_up_secret
look_up_bucket
keep_bucket
keep_secret
deploy_stack
if $dry_run; then
  say "would register job definition $name, write config.env; nothing was changed"
  exit
fi
DEPLOY_ROLE_ARN="" # one in the environment may be of another set-up
read_outputs
# shellcheck disable=SC2034 # read by name, from CONFIG and PLACEHOLDERS
AWS_REGION=$region AWS_ACCOUNT_ID=$account S3_BUCKET=$bucket AWS_SECRET_ARN=$secret_arn
JOB_DEFINITION=$name
register_job_definition
write_config

latest=$ECR_REPOSITORY:latest
use="" # where another image is in use, pushing this one is not enough
[[ $IMAGE == "$latest" ]] || use=" && ./setup-aws.sh --register --image $latest"
cat << END

Made and written to config.env:
$(sed 's/^/  /' "$root/config.env")
  job definition: $revision

Next, from this folder:
  aws ecr get-login-password --region $region | docker login --username AWS --password-stdin ${ECR_REPOSITORY%%/*}
  docker build --platform linux/amd64 -t $latest . && docker push $latest$use
  aws s3 cp my_data.parquet s3://$bucket/data/processed/my_data.parquet
  aws batch submit-job --region $region --job-name my_data --job-queue $JOB_QUEUE --job-definition $JOB_DEFINITION --parameters dataset_name=my_data
  aws logs tail $LOG_GROUP --region $region --follow
END
if [[ -n ${DEPLOY_ROLE_ARN-} ]]; then
  repository=${github:-$stack_github}
  cat << END
For the workflows of $repository:
  gh variable set --env-file config.env --repo $repository
END
fi
