#!/usr/bin/env bash
# Runs an executable in what the image gives it and nothing else, without Docker: the files of
# distroless base-nossl-debian13 and libgcc_s, read-only; user 65532, no capabilities; process 1;
# no /tmp, no shell.
#
#   dev/build/rootfs.sh make FOLDER EXECUTABLE   unpacks Debian's packages into FOLDER/root and
#                                          writes FOLDER/pseudolabel.inside, which runs the
#                                          executable in there
#   FOLDER/pseudolabel.inside ARGS…        signals, exit code, environment and network pass through;
#                                          SIGKILL takes the inside along
#
# Needs apt with Debian 13's keys, a mirror of Debian (that of this machine, or deb.debian.org), and
# a kernel and user that may make namespaces.
set -euo pipefail

# What gcr.io/distroless/base-nossl-debian13 is made of (static/config.bzl, base/config.bzl and
# common/ of its sources). The Dockerfile adds one file of libgcc-s1.
PACKAGES=(base-files ca-certificates libc6 media-types netbase tzdata tzdata-legacy)
ADDED=libgcc-s1

# Gets packages of Debian 13 into the present folder, whatever release this machine has: apt with
# lists of its own.
fetch_packages() {
  local mirror package settings
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg
  # shellcheck disable=SC2016 # it is for apt to expand
  mirror=$(apt-get indextargets --format '$(SITE)' | grep -m 1 '/debian/*$') ||
    mirror=http://deb.debian.org/debian
  mkdir -p apt/lists/partial apt/archives/partial
  : > apt/status
  echo "deb [signed-by=$keys] $mirror trixie main" > apt/sources.list
  settings=(-qq -o "Dir::State::lists=$PWD/apt/lists" -o "Dir::State::status=$PWD/apt/status"
    -o "Dir::Cache=$PWD/apt" -o "Dir::Etc::sourcelist=$PWD/apt/sources.list"
    -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root)
  apt-get "${settings[@]}" update -o APT::Update::Error-Mode=any || return
  for package; do
    compgen -G "${package}_*.deb" > /dev/null ||
      apt-get "${settings[@]}" download "$package" || return
  done
}

make_root() {
  local folder=$1 executable=$2
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/pseudolabel-rootfs/debian13
  local root=$folder/root package
  mkdir -p "$cache" "$root"
  cd "$cache"
  for package in "${PACKAGES[@]}" "$ADDED"; do
    compgen -G "${package}_*.deb" > /dev/null && continue
    fetch_packages "${PACKAGES[@]}" "$ADDED" > download.log 2>&1 ||
      { cat download.log >&2; return 1; }
  done
  for package in "${PACKAGES[@]}"; do
    dpkg-deb -x "${package}_"*.deb "$root"
  done
  # As the Dockerfile copies it.
  dpkg-deb --fsys-tarfile "${ADDED}_"*.deb |
    tar -x --directory "$root/usr/lib" --wildcards --transform 's,.*/,,' \
      './usr/lib/*-linux-gnu/libgcc_s.so.1'
  # Of this package distroless has one file.
  mkdir -p "$root/etc/ssl/certs"
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
  rm -rf "${root:?}/usr/share/ca-certificates" "${root:?}/usr/sbin"/update-ca-certificates
  # The image has it; the program must not need it.
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
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
