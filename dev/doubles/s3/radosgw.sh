#!/usr/bin/env bash
#
# A one-node Ceph RADOS Gateway for the store conformance tests: a real S3 server with conditional
# writes, from Debian 12 packages, without systemd, privileges or loop devices.
#
#   dev/doubles/s3/radosgw.sh install     install the packages (as root)
#   dev/doubles/s3/radosgw.sh start DIR   start it with all its data under DIR; prints `export …` for the shell
#   dev/doubles/s3/radosgw.sh stop DIR    end what `start DIR` started and drop the data; the logs stay
#
#   eval "$(dev/doubles/s3/radosgw.sh start /tmp/rgw)" && deno test -A lib; dev/doubles/s3/radosgw.sh stop /tmp/rgw
#
# Exit codes: 0 done, 1 failed (the reason and the ends of the logs are on stderr), 2 wrong usage.

set -euo pipefail
# With it `cd` may go elsewhere, and prints where.
unset CDPATH

# No manager daemon: it only serves statistics and dashboards, and would bring 35 more packages.
readonly PACKAGES=(ceph-mon ceph-osd radosgw)
readonly MARK='# written by dev/doubles/s3/radosgw.sh'
# Seconds a start may take in all, and a daemon to end by itself.
readonly START_LIMIT=90 STOP_LIMIT=10

usage() {
  echo 'usage: radosgw.sh install | start DIR | stop DIR' >&2
  exit 2
}

say() {
  echo "radosgw.sh: $*" >&2
}

install_packages() {
  if ((EUID != 0)); then
    say 'cannot install packages: not root'
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update >&2
  apt-get install -y --no-install-recommends "${PACKAGES[@]}" >&2
}

# Functions below run inside DIR and name files relative to it: DIR may be long, or hold characters
# that ceph.conf gives a meaning to.

# When the kernel started a process, in clock ticks since boot; empty if there is none. A zombie
# (an ended child of an init that never reaps, as in many containers) counts as none.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The second field is the program's name in parentheses and may hold spaces: count from the third.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} == Z ]] || echo "${fields[19]}"
}

# Whether the daemon that NAME.pid describes runs. The start time tells it from a later process
# that was given the same number.
running() {
  local pid started
  [[ -f $1.pid ]] || return 1
  read -r pid started <"$1.pid"
  # An empty time is that of a daemon that ended at once.
  [[ -n $started && $(start_time "$pid") == "$started" ]]
}

# Runs a daemon in a session of its own, so that neither Ctrl-C nor the end of this shell ends it.
launch() {
  local name=$1 pid
  shift
  setsid "$@" -f </dev/null >"$name.out" 2>&1 &
  pid=$!
  echo "$pid $(start_time "$pid")" >"$name.pid"
}

end_daemon() {
  local name=$1 pid signal deadline
  for signal in TERM KILL; do
    running "$name" || break
    read -r pid _ <"$name.pid"
    kill -s "$signal" "$pid" 2>/dev/null || true
    deadline=$((SECONDS + STOP_LIMIT))
    while running "$name" && ((SECONDS < deadline)); do sleep 0.1; done
  done
  if running "$name"; then
    say "cannot end $name: process $pid survives SIGKILL"
    exit 1
  fi
  rm -f "$name.pid"
}

# Clients first, so that nobody waits for a server that is gone.
stop_all() {
  local name
  for name in rgw osd mon; do end_daemon "$name"; done
  rm -rf mon osd monmap
}

fail() {
  local file
  trap - EXIT INT TERM
  say "cannot start in $PWD: $*"
  for file in *.out *.log; do
    [[ -s $file ]] || continue
    echo "--- $file" >&2
    tail -n 20 "$file" >&2
  done
  stop_all
  exit 1
}

# Repeats a command until it succeeds, as long as the named daemon runs and there is time left.
wait_for() {
  local what=$1 daemon=$2
  shift 2
  until "$@"; do
    running "$daemon" || fail "$daemon ended while waiting for $what"
    ((SECONDS < START_LIMIT)) || fail "$what did not come within $START_LIMIT s"
    sleep 0.1
  done
}

# A client command with a bound: without one it waits for the cluster for ever.
client() {
  local left=$((START_LIMIT - SECONDS))
  # In the foreground: otherwise Ctrl-C does not reach the command.
  timeout --foreground -k 1 "$((left > 1 ? left : 1))" "$@" >>client.out 2>&1
}

# Prints different free ports. They lie below the range that the kernel gives to outgoing
# connections, so that none of those takes one before the daemon does.
free_ports() {
  python3 - "$1" <<'PYTHON'
import random, socket, sys

held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(10000, 32768)))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
PYTHON
}

random_hex() {
  od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

write_conf() {
  local fsid=$1 mon_port=$2 rgw_port=$3
  cat >ceph.conf <<CONF
$MARK
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mon_port]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
auth cluster required = none
auth service required = none
auth client required = none
# Paths are relative to this folder. No admin sockets: their paths may not exceed 107 bytes.
chdir =
run dir = .
crash dir = .
admin socket =
log file = \$name.log
log to stderr = false
err to stderr = true
debug ms = 0/0
debug rocksdb = 0/0
# One copy of everything, on one host; few placement groups are quickly made.
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
rgw rados pool pg num min = 1

[mon]
mon data = mon
# Each change of the cluster map waits for others to join it: by default a second.
paxos propose interval = 0.05
paxos min wait = 0.02
mon cluster log file = cluster.log
# By default a monitor ends itself when the disk is 95 % full.
mon data avail warn = 2
mon data avail crit = 1

[osd]
osd data = osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd crush initial weight = 1

[client]
# radosgw alone insists on encryption towards the monitor, which needs authentication.
ms mon client mode = crc
rgw frontends = beast endpoint=127.0.0.1:$rgw_port tcp_nodelay=1
rgw data = .
rgw thread pool size = 64
CONF
}

osd_is_up() {
  local answer
  answer=$(timeout --foreground -k 1 5 ceph osd stat 2>>client.out) && [[ $answer == *' 1 up'* ]]
}

# Answers HTTP. curl need not be installed, and might go through a proxy.
gateway_answers() {
  local status=''
  {
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
    read -r -t 5 status <&3 || true
    exec 3>&-
  } 2>/dev/null || return 1
  [[ $status == *' 200 '* ]]
}

start() {
  local command name ports mon_port rgw_port access secret fsid uuid
  for command in ceph ceph-mon ceph-osd radosgw radosgw-admin python3 setsid; do
    if ! command -v "$command" >/dev/null; then
      say "cannot start: $command is not installed: run 'dev/doubles/s3/radosgw.sh install' as root"
      exit 1
    fi
  done
  mkdir -p -- "$1"
  cd -- "$1"
  # What is deleted below must be ours.
  if [[ -n $(ls -A) ]] && ! grep -qsxF "$MARK" ceph.conf; then
    say "cannot start in $PWD: it holds other files; name a new or empty folder"
    exit 1
  fi
  for name in mon osd rgw; do
    if running "$name"; then
      say "cannot start in $PWD: $name runs already; run 'dev/doubles/s3/radosgw.sh stop $1' first"
      exit 1
    fi
  done
  rm -rf mon osd monmap ./*.pid ./*.out ./*.log
  mkdir mon osd

  trap 'fail "a command failed"' EXIT
  trap 'fail interrupted' INT TERM
  unset CEPH_ARGS CEPH_KEYRING
  export CEPH_CONF=ceph.conf
  ports=$(free_ports 2)
  read -r mon_port rgw_port <<<"$ports"
  fsid=$(cat /proc/sys/kernel/random/uuid)
  uuid=$(cat /proc/sys/kernel/random/uuid)
  write_conf "$fsid" "$mon_port" "$rgw_port"
  access=$(random_hex 10)
  secret=$(random_hex 20)

  client monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" monmap ||
    fail 'monmaptool failed'
  client ceph-mon -i a --mkfs --monmap monmap || fail 'ceph-mon --mkfs failed'
  launch mon ceph-mon -i a
  client ceph osd new "$uuid" 0 || fail 'the monitor does not answer'
  client ceph-osd -i 0 --mkfs --osd-uuid "$uuid" || fail 'ceph-osd --mkfs failed'
  launch osd ceph-osd -i 0
  wait_for 'the OSD' osd osd_is_up
  client radosgw-admin user create --uid=test --display-name=test --max-buckets=0 \
    --access-key="$access" --secret-key="$secret" || fail 'radosgw-admin user create failed'
  launch rgw radosgw -n client.rgw
  wait_for "the gateway's answer" rgw gateway_answers "$rgw_port"

  trap - EXIT INT TERM
  say "ready in $SECONDS s on port $rgw_port, data and logs in $PWD"
  echo "export S3_TEST_ENDPOINT=http://127.0.0.1:$rgw_port AWS_ACCESS_KEY_ID=$access" \
    "AWS_SECRET_ACCESS_KEY=$secret AWS_REGION=us-east-1"
}

stop() {
  [[ -d $1 ]] || return 0
  cd -- "$1"
  if grep -qsxF "$MARK" ceph.conf; then stop_all; fi
}

case "${1-}:$#" in
  install:1) install_packages ;;
  start:2) start "$2" ;;
  stop:2) stop "$2" ;;
  *) usage ;;
esac
