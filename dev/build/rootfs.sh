#!/usr/bin/env bash
# Runs an executable in what the image gives it and nothing else, without Docker: the files of
# distroless cc-debian12, read-only; user 65532, no capabilities; process 1; no /tmp, no shell.
#
#   dev/build/rootfs.sh make FOLDER EXECUTABLE   unpacks Debian's packages into FOLDER/root and writes
#                                          FOLDER/pseudolabel.inside, which runs the executable in there
#   FOLDER/pseudolabel.inside ARGS…        signals, exit code, environment and network pass through;
#                                          SIGKILL takes the inside along
#
# Needs Debian 12 with its package lists, and a kernel and user that may make namespaces.
set -euo pipefail

# What gcr.io/distroless/cc-debian12 is made of.
PACKAGES=(base-files ca-certificates gcc-12-base libc6 libgcc-s1 libgomp1 libssl3 libstdc++6 netbase tzdata)

make_root() {
  local folder=$1 executable=$2 cache=${XDG_CACHE_HOME:-$HOME/.cache}/pseudolabel-rootfs
  local root=$folder/root
  mkdir -p "$cache" "$root"
  cd "$cache"
  local package
  for package in "${PACKAGES[@]}"; do
    compgen -G "${package}_*.deb" > /dev/null || apt-get download -qq "$package" 2> download.log ||
      { cat download.log >&2; return 1; }
    dpkg-deb -x "${package}_"*.deb "$root"
  done
  rm -rf "${root:?}/tmp" "${root:?}/var/tmp"
  mkdir -p "$root/home/nonroot" "$root/proc" "$root/usr/local/bin"
  echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' > "$root/etc/passwd"
  cp "$executable" "$root/usr/local/bin/pseudolabel"
  printf '#!/usr/bin/env bash\nexec %q run %q "$@"\n' "$self" "$root" > "$folder/pseudolabel.inside"
  chmod +x "$folder/pseudolabel.inside"
}

# unshare stands between this process and the program, and keeps SIGTERM and SIGINT to itself; and
# bash loses one of two signals that come at once. So they are passed on by Perl, which Debian is
# never without.
# shellcheck disable=SC2016 # it is for Perl to expand
FORWARD='
  my $outer;
  for my $name (qw(TERM INT)) {
    $SIG{$name} = sub {
      for my $stat (glob "/proc/[0-9]*/stat") {
        open(my $file, "<", $stat) or next;
        my ($pid, $parent) = (<$file> // "") =~ /^(\d+) \(.*\) \S (\d+)/ or next;
        kill $name, $pid if $outer && $parent == $outer;
      }
    };
  }
  $outer = fork() // die "cannot fork: $!";
  if (!$outer) { exec @ARGV or die "cannot start $ARGV[0]: $!" }
  until (waitpid($outer, 0) == $outer) {}
  exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
'

# Two namespaces of users: as root in the first to mount, as 65532 in the second, which is what
# leaves the program without capabilities. A change of user in between would undo --pdeathsig and
# --kill-child, by which the program dies with this process.
# shellcheck disable=SC2016 # it is for the inner shell to expand
INSIDE='
  root=$1; shift
  mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" || exit 125
  export HOME=/home/nonroot
  exec unshare --user --map-user=65532 --map-group=65532 --mount --pid --fork --kill-child \
    --root="$root" --wd=/ --mount-proc=/proc -- /usr/local/bin/pseudolabel "$@"
'

run_inside() {
  exec perl -e "$FORWARD" setpriv --pdeathsig KILL --no-new-privs \
    unshare --user --map-root-user --mount -- sh -c "$INSIDE" sh "$@"
}

self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
case ${1-} in
  make) make_root "$(mkdir -p "${2:?a folder}" && cd "$2" && pwd)" "$(realpath "${3:?an executable}")" ;;
  run) run_inside "${@:2}" ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
