# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables are set and used by the files that source this one
#
# The aws client as setup-aws.sh uses it: every call either succeeds or ends the script with one
# line that says what could not be done and what to do about it. Sourced by setup-aws.sh, which sets
# `region`, `dry_run` and `scratch` (a private folder).

# What the last call printed.
answer=""

# Progress goes to standard error: standard output is for results.
say() {
  printf '%s\n' "$*" >&2
}

die() {
  printf 'setup-aws.sh: %s\n' "$*" >&2
  exit 1
}

# call WHAT ARGS...: runs `aws ARGS`; its output is in $answer.
call() {
  local what=$1
  shift
  answer=$(aws "$@" 2> "$scratch/error") || explain "$what"
}

# lookup ABSENT WHAT ARGS...: like call, but returns 1 where the error matches the pattern ABSENT.
lookup() {
  local absent=$1 what=$2
  shift 2
  answer=$(aws "$@" 2> "$scratch/error") && return
  grep -Eq "$absent" "$scratch/error" || explain "$what"
  answer=""
  return 1
}

# change WHAT ARGS...: a call that changes something; with --dry-run it is only announced.
change() {
  if $dry_run; then
    say "would $1"
    return
  fi
  say "$1"
  call "$@"
}

# Ends the script: one line for the error that the client left in $scratch/error.
explain() {
  local error action
  error=$(tr -s '\n\r\t' '   ' < "$scratch/error")
  error=${error# }
  case $error in
    *"Unable to locate credentials"* | *"config profile"*"could not be found"* | \
      *"Error loading SSO Token"* | *"NoCredentials"*)
      die "cannot $1: no AWS credentials; run 'aws configure' or 'aws sso login', or set AWS_PROFILE"
      ;;
    *ExpiredToken* | *RequestExpired* | *"has expired"*)
      die "cannot $1: the AWS login has expired; log in again ('aws sso login'), then run this again"
      ;;
    *InvalidClientTokenId* | *UnrecognizedClient* | *SignatureDoesNotMatch* | \
      *InvalidAccessKeyId* | *AuthFailure* | *OptInRequired*)
      die "cannot $1: AWS does not accept these credentials in $region; check the login, and that the region is enabled for the account"
      ;;
    *AccessDenied* | *UnauthorizedOperation* | *"not authorized"* | *"(403)"*)
      action=$(grep -Eo 'not authorized to perform: [A-Za-z0-9:-]+' <<< "$error" | head -n 1) || true
      action=${action##* }
      die "cannot $1: access denied; this login needs ${action:-the permission for it}"
      ;;
    *"Could not connect to the endpoint URL"* | *"Connect timeout"* | *"ConnectionError"*)
      die "cannot $1: nothing answers for region $region; check --region and the network"
      ;;
  esac
  error=${error#An error occurred }
  die "cannot $1: ${error:0:400}"
}
