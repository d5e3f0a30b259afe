# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables are set and used by setup-aws.sh
#
# Where the jobs run: given subnets, those of a given VPC, the default VPC's, or, where there is
# none, a small network that the stack makes. Sourced by setup-aws.sh.

# Sets $vpc and $subnets; both empty for a network of its own, or as it is. Says what it chose.
choose_network() {
  if [[ -n $stack_status && -z $vpc$subnets ]]; then
    say "network: as it is (--vpc or --subnets changes it)"
    return
  fi
  if [[ -n $subnets ]]; then
    local ids vpcs
    IFS=, read -ra ids <<< "$subnets"
    lookup 'InvalidSubnet' "look up the subnets $subnets" ec2 describe-subnets \
      --subnet-ids "${ids[@]}" --query 'Subnets[].VpcId' --output text ||
      die "there are no such subnets in $region: $subnets"
    vpcs=$(tr -s '[:space:]' '\n' <<< "$answer" | sort -u)
    [[ $(wc -l <<< "$vpcs") -eq 1 ]] || die "the subnets $subnets lie in several VPCs"
    [[ -z $vpc || $vpc == "$vpcs" ]] || die "the subnets $subnets lie in $vpcs, not in $vpc"
    vpc=$vpcs
    say "network: subnets $subnets of $vpc"
    return
  fi
  if [[ -z $vpc ]]; then
    call "look for the default VPC" ec2 describe-vpcs --filters Name=is-default,Values=true \
      --query 'Vpcs[0].VpcId' --output text
    if [[ $answer == None ]]; then
      say "network: no default VPC in $region, so a small one is made"
      return
    fi
    vpc=$answer
  fi
  call "look for subnets of $vpc" ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" \
    Name=map-public-ip-on-launch,Values=true --query 'Subnets[].SubnetId' --output text
  [[ -n $answer && $answer != None ]] || die \
    "$vpc has no public subnets in $region: give --subnets (ones from which the internet is reached)"
  subnets=$(tr -s '[:space:]' ',' <<< "$answer")
  subnets=${subnets%,}
  say "network: public subnets $subnets of $vpc"
}
