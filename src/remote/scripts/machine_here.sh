# tell_machine: prints 'machine' and what tells this running machine from every other; nothing where it has no machine-id.
# The machine-id alone is the same on virtual machines cloned from one image.
tell_machine() {
  [ -s /etc/machine-id ] || return 0
  read -r id </etc/machine-id
  boot= name=
  read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id
  read -r name 2>/dev/null </proc/sys/kernel/hostname
  echo "machine $id $boot $name"
}
