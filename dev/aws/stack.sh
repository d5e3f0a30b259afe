# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables are set and used by setup-aws.sh
#
# The CloudFormation stack with everything but bucket and secret: brought into a state from which it
# can be deployed, whatever an earlier run left, then deployed; CloudFormation undoes what fails.
# Sourced by setup-aws.sh.

# Sets $stack_status (empty for none), $stack_bucket, $stack_provider and $stack_github.
read_stack() {
  stack_status="" stack_bucket="" stack_provider="" stack_github=""
  lookup 'does not exist' "look up stack $name" cloudformation describe-stacks --stack-name "$name" \
    --output text --query "Stacks[0].[StackStatus, \
      Parameters[?ParameterKey=='BucketName'].ParameterValue | [0], \
      Parameters[?ParameterKey=='GithubProvider'].ParameterValue | [0], \
      Parameters[?ParameterKey=='GithubRepository'].ParameterValue | [0]]" || return 0
  # The one that may be empty comes last.
  read -r stack_status stack_bucket stack_provider stack_github <<< "$answer"
  [[ $stack_bucket != None ]] || stack_bucket=""
  # Deploying over somebody's stack would remove what is in it. One that was only announced has no
  # parameters yet, and nothing in it.
  [[ -n $stack_bucket || $stack_status == REVIEW_IN_PROGRESS ]] ||
    die "stack $name is there already and was not made by this script: give another --name"
}

# Waits while somebody changes the stack, half an hour at most.
wait_for_stack() {
  local turn
  for ((turn = 0; turn < 360; turn++)); do
    read_stack
    [[ $stack_status == *_IN_PROGRESS ]] || return 0
    sleep 5
  done
  die "stack $name is still $stack_status after half an hour: see the CloudFormation console"
}

# Makes an end of what an earlier run left half done.
settle_stack() {
  [[ $stack_status != *_IN_PROGRESS || $stack_status == REVIEW_IN_PROGRESS ]] || $dry_run || {
    say "stack $name is $stack_status: waiting"
    wait_for_stack
  }
  case $stack_status in
    REVIEW_IN_PROGRESS | CREATE_FAILED | ROLLBACK_* | DELETE_FAILED)
      change "remove stack $name, which an earlier run left $stack_status" \
        cloudformation delete-stack --stack-name "$name"
      if $dry_run; then stack_status=""; else stack_is_gone; fi
      ;;
    UPDATE_ROLLBACK_FAILED)
      change "take up the rollback of stack $name again" \
        cloudformation continue-update-rollback --stack-name "$name"
      $dry_run || wait_for_stack
      ;;
  esac
  $dry_run || [[ -z $stack_status || $stack_status == *_COMPLETE ]] ||
    die "stack $name is $stack_status$(failure): see the CloudFormation console"
}

stack_is_gone() {
  wait_for_stack
  [[ -z $stack_status || $stack_status == DELETE_COMPLETE ]] ||
    die "cannot remove stack $name: it is $stack_status$(failure)"
  stack_status=""
}

# The latest reason in the stack's history, as ": RESOURCE: reason".
failure() {
  local reason
  reason=$(aws cloudformation describe-stack-events --stack-name "$name" --output text --query \
    "StackEvents[?contains(ResourceStatus, 'FAILED') && ResourceStatusReason && \
      !contains(ResourceStatusReason, 'cancelled')] | [0].[LogicalResourceId, ResourceStatusReason]" \
    2> "$scratch/events") || return 0
  [[ -z $reason || $reason == None ]] || printf ': %s' "${reason/$'\t'/: }" | cut -c -400
}

# Parameters that are not given keep the value they had.
deploy_stack() {
  local parameters=("Name=$name" "BucketName=$bucket" "SecretArn=$secret_arn")
  [[ -z $vpc ]] || parameters+=("VpcId=$vpc" "SubnetIds=$subnets")
  [[ -z $max_vcpus ]] || parameters+=("MaxVcpus=$max_vcpus")
  [[ -z $textract ]] || parameters+=("Textract=$textract")
  if [[ $images_buckets == none ]]; then
    parameters+=("ImagesBuckets=")
  elif [[ -n $images_buckets ]]; then
    parameters+=("ImagesBuckets=$images_buckets")
  fi
  if [[ $github == none ]]; then
    parameters+=("GithubRepository=")
  elif [[ -n $github ]]; then
    parameters+=("GithubRepository=$github" "GithubRef=$github_ref")
    github_provider
    parameters+=("GithubProvider=$stack_provider")
  fi
  if $dry_run; then
    local verb="bring up to date"
    [[ -n $stack_status ]] || verb=create
    say "would $verb stack $name from dev/aws/stack.yaml with ${parameters[*]}"
    return
  fi
  say "deploy stack $name (about three minutes when it is new)"
  if ! lookup 'Failed to create/update the stack' "deploy stack $name" cloudformation deploy \
    --stack-name "$name" --template-file "$root/dev/aws/stack.yaml" \
    --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset --tags "project=$name" \
    --parameter-overrides "${parameters[@]}"; then
    die "cannot deploy stack $name$(failure)"
  fi
}

# There is one provider for GitHub in an account: the stack's own stays, another's is used.
github_provider() {
  [[ $stack_provider != make || -z $stack_github || $stack_github == None ]] || return 0
  call "look for GitHub's identity provider" iam list-open-id-connect-providers \
    --query 'OpenIDConnectProviderList[].Arn' --output text
  stack_provider="make"
  [[ $answer != *oidc-provider/token.actions.githubusercontent.com* ]] || stack_provider=existing
}

# Sets the values of config.env that the stack knows.
read_outputs() {
  local key value
  call "read the outputs of stack $name" cloudformation describe-stacks --stack-name "$name" \
    --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]' --output text
  while read -r key value; do
    case $key in
      RepositoryUri) ECR_REPOSITORY=$value ;;
      QueueName) JOB_QUEUE=$value ;;
      LogGroup) LOG_GROUP=$value ;;
      JobRoleArn) JOB_ROLE_ARN=$value ;;
      ExecutionRoleArn) EXECUTION_ROLE_ARN=$value ;;
      GithubRoleArn) DEPLOY_ROLE_ARN=$value ;;
    esac
  done <<< "$answer"
}
