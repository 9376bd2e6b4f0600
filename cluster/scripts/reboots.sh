#!/usr/bin/env bash
# Installs the systemd timer that lets nodes reboot one after the other. Runs on the control plane that began the cluster.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env REBOOT_TURN=... reboots.sh
Environment:
  REBOOT_TURN   path of reboot-turn.sh
  NODE, DAYS, START, END, TIME_ZONE   see reboot-turn.sh --help
Prints "reboots in <time zone>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in REBOOT_TURN NODE DAYS START END TIME_ZONE; do
  [ -n "${!v:-}" ] || {
    echo "reboots: $v is not set" >&2
    usage >&2
    exit 2
  }
done

STATE=/var/lib/kubeadm-aws
say() { printf 'reboots: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
# date takes the hours of an unknown zone for those of UTC.
[ "$TIME_ZONE" = UTC ] || [ -e "/usr/share/zoneinfo/$TIME_ZONE" ] ||
  die "this machine does not know the time zone $TIME_ZONE (maintenance.timeZone); see: timedatectl list-timezones"

put() { # MODE FILE < content
  install -D -m "$1" /dev/stdin "$2.new"
  mv "$2.new" "$2"
}
put 755 /usr/local/sbin/kubeadm-aws-reboot-turn <"$REBOOT_TURN"
# The script sources this file, so %q writes each value as one word of bash.
for v in NODE DAYS START END TIME_ZONE; do printf '%s=%q\n' "$v" "${!v}"; done | put 600 /etc/kubernetes/reboots.env
put 644 /etc/systemd/system/kubeadm-aws-reboot-turn.service <<-'TEXT'
	[Unit]
	Description=Turn of the next node that needs a reboot
	After=network-online.target kubelet.service

	[Service]
	Type=oneshot
	Environment=HOME=/root
	ExecStart=/usr/local/sbin/kubeadm-aws-reboot-turn
	TimeoutStartSec=30min
TEXT
put 644 /etc/systemd/system/kubeadm-aws-reboot-turn.timer <<-'TEXT'
	[Unit]
	Description=Turns of the nodes that need a reboot

	[Timer]
	OnCalendar=minutely

	[Install]
	WantedBy=timers.target
TEXT
# A node may have had its turn before this machine was new. Outside of the hours, reboot-turn.sh looks for one if the file exists.
touch "$STATE/reboots.away"
systemctl daemon-reload
systemctl -q enable kubeadm-aws-reboot-turn.timer
systemctl restart kubeadm-aws-reboot-turn.timer
echo "reboots in $TIME_ZONE"
