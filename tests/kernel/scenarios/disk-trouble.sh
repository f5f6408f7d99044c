# Everything that a disk does to a show: it is full, it turns read-only, it gives errors, it is slow, it is pulled and put
# back. What is published keeps every frame meanwhile; recording ends with an alert and goes on by itself; what was
# sealed stays.

# Below the root's own file system: what is written while the disk is away would be seen there.
data=/srv/cuebox-data

guest() {
  mkdir -p /tmp/disks "$data"
  truncate -s 96M /tmp/disks/disk
  mkfs.ext4 -q -F /tmp/disks/disk || die "mkfs"
  plugs_in
  gst-launch-1.0 -q --no-position srtsrc uri="srt://127.0.0.1:9710?mode=listener" ! filesink location=/tmp/disks/leg.ts 2>/out/leg.log &
  leg_pid=$!
  write_config
  start_cuebox
  wait_for 60 "the leg carries" is 's["legs"][0]["state"] == "carrying"'
  records
  sleep 8

  say "the disk is slow for a while: 100 ms for each write"
  becomes_device "0 $sectors delay $disk 0 0 $disk 0 100"
  sleep 8
  becomes 1 's["recording"]["state"] == "recording"' || die "a slow disk ended the recording"
  becomes_device "0 $sectors linear $disk 0"

  say "the disk is much too slow: 3 s for each write"
  becomes_device "0 $sectors delay $disk 0 0 $disk 0 3000"
  wait_for 60 "the recording is behind, and that is told" is 'any(a["kind"] in ("recording_failed", "disk_slow", "seal_unclean", "data_unwritable") for a in s["alerts"])'
  becomes_device "0 $sectors linear $disk 0"
  records

  say "the disk is full"
  dd if=/dev/zero of="$data/filler" bs=64k 2>/dev/null
  fails "a full disk"
  rm "$data/filler"
  records

  say "the disk turns read-only"
  echo u >/proc/sysrq-trigger
  fails "a read-only disk"
  mount -o remount,rw "$node" "$data" || die "remount"
  records

  say "the disk gives errors, and is mounted anew"
  becomes_device "0 $sectors error"
  fails "errors"
  umount -l "$data" || die "umount"
  plugs_in
  records

  say "the disk is pulled, and put back after a while"
  becomes_device "0 $sectors error"
  umount -l "$data" || die "umount"
  fails "no disk"
  sleep 10
  [ ! -e "$data/cuebox.db" ] || die "while the disk was away, the show went on below its mount point: $(find "$data")"
  plugs_in
  records
  # A file of each track that no trouble touches, beside the first ones.
  pause 5

  ctl show stop || die "show stop"
  wait_for 60 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
  # The server of the leg ends its file when the box has gone.
  kill -INT "$leg_pid" 2>/dev/null
  wait "$leg_pid"
  cp /tmp/disks/leg.ts /out/
}

becomes_device() { # table
  # Nothing that is under way is waited for: a disk that is pulled does not wait either.
  dmsetup suspend --noflush --nolockfs "$wild" && dmsetup reload "$wild" --table "$1" && dmsetup resume "$wild" || die "the device does not become $1"
}

# The disk as a new device, as it is when it comes back: the kernel lets nobody write any more to a file system that has
# met an error.
plugs_in() {
  plugged=$((${plugged:-0} + 1))
  disk=$(losetup -f --show /tmp/disks/disk) || die "no loop device"
  sectors=$(blockdev --getsz "$disk")
  wild=wild$plugged
  dmsetup create "$wild" --table "0 $sectors linear $disk 0" || die "no device mapper"
  node=$(device "$wild")
  e2fsck -fp "$node" >>/out/e2fsck.log 2>&1
  [ $? -le 1 ] || die "the file system is broken: $(tail -3 /out/e2fsck.log)"
  mount "$node" "$data" || die "mount"
}

records() { wait_for 90 "recording, all files open" is 's["recording"]["state"] == "recording" and s["recording"]["why"] is None'; }

fails() { # what
  wait_for 60 "$1: recording has stopped, and why is told" is 's["recording"]["state"] == "failed" and len(s["alerts"]) > 0'
  becomes 1 's["program"]["on_air"] == 1 and s["legs"][0]["state"] == "carrying"' || die "$1 disturbs the program"
}

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
start_slot = 1
[[leg]]
name = "far"
kind = "srt"
uplink = 1
url = "srt://127.0.0.1:9710"
[record]
segment_minutes = 0.1
keep_free = "1 MB"
TOML
  test_camera 1 440
  test_camera 2 330
}

check() { # out
  python3 disk_judge.py "$1" 320 180
}
