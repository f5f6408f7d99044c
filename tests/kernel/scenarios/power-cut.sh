# The power goes at any write of a show: a log of all that the disk was told is replayed up to 210 points, and the box's
# own recovery is started on each.

points=210

guest() {
  mkdir -p /tmp/disks "$data"
  truncate -s 160M /tmp/disks/disk
  truncate -s 600M /tmp/disks/log
  mkfs.ext4 -q -F /tmp/disks/disk || die "mkfs"
  cp --sparse=always /tmp/disks/disk /tmp/disks/empty
  local disk log
  disk=$(losetup -f --show /tmp/disks/disk) && log=$(losetup -f --show /tmp/disks/log) || die "no loop devices"
  dmsetup create logged --table "0 $(blockdev --getsz "$disk") log-writes $disk $log" || die "no dm-log-writes"
  mount -t ext4 "$(device logged)" "$data" || die "mount"
  write_config
  start_cuebox
  wait_for 60 "recording" is 's["recording"]["state"] == "recording" and s["recording"]["files"] == 3'
  python3 /out/kernel/power_cut.py drive "$socket" logged 20 || die "the show"
  kill -INT "$cuebox_pid"
  wait "$cuebox_pid" || die "the box ended with status $?"
  umount "$data" || die "umount"
  dmsetup remove logged
  python3 /out/kernel/power_cut.py judge /tmp/disks/log /tmp/disks/empty "$cuebox" "$points"
}

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
[record]
segment_minutes = 0.1
keep_free = "1 MB"
TOML
  test_camera 1 440
  test_camera 2 330
}
