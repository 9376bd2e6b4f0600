package dockerhosts

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"
)

// The lines of /etc/hosts between these belong to the private zone.
const (
	zoneBegin = "# private zone"
	zoneEnd   = "# end of private zone"
)

// zone is the private zone of the stack: its records are lines of /etc/hosts on every machine.
type zone struct{ *stack }

// SetRecord writes an A record into /etc/hosts of every machine. Without addresses it takes the record out again.
func (z zone) SetRecord(ctx context.Context, name string, addresses []string) error {
	err := z.store.change(func(s *state) error {
		name := strings.TrimSuffix(name, ".")
		if len(addresses) == 0 {
			delete(s.Records, name)
			return nil
		}
		s.Records[name] = addresses
		return nil
	})
	if err != nil {
		return err
	}
	return z.writeRecords(ctx)
}

// writeRecords brings /etc/hosts of all running machines up to date.
func (z zone) writeRecords(ctx context.Context) error {
	all, err := machines(ctx, z.options.Stack)
	if err != nil {
		return err
	}
	lines := zoneLines(z.store.read().Records)
	var errs errorList
	var wg sync.WaitGroup
	for _, m := range all {
		if m.running {
			wg.Go(func() { errs.add(writeZone(ctx, m.container, lines)) })
		}
	}
	wg.Wait()
	return errs.join()
}

func zoneLines(records map[string][]string) string {
	var lines []string
	for name, addresses := range records {
		for _, a := range addresses {
			lines = append(lines, a+" "+name)
		}
	}
	sort.Strings(lines)
	return strings.Join(append(append([]string{zoneBegin}, lines...), zoneEnd), "\n") + "\n"
}

// docker mounts /etc/hosts into the container: it can be written, not replaced. Writers wait for each other. A writer
// takes the lock only after it has read the whole input. An incomplete input would keep the lock, or remove the
// records. cloud-init writes the file without the lock and empties it first, so a writer waits for a file with lines
// of the machine. It overwrites the file in place, so that no program reads it empty. A machine that has a line of its
// own for a name does not ask the DNS, so the records of that name are left out.
const writeZoneScript = `zone=$(cat)
case $zone in *"` + zoneEnd + `") ;; *) exit 1 ;; esac
export zone
exec flock -w 30 /etc/hosts sh -c '
for attempt in $(seq 50); do
  rest=$(sed "/^` + zoneBegin + `$/,/^` + zoneEnd + `$/d" /etc/hosts)
  [ -z "$rest" ] || break
  sleep 0.1
done
if [ -z "$rest" ]; then echo "/etc/hosts has no lines of the machine" >&2; exit 1; fi
all=$(printf "%s\n%s\n" "$rest" "$zone" | awk "/^` + zoneBegin + `\$/ { zone = 1 }
  zone && (\$2 in own) { next }
  !zone { for (i = 2; i <= NF; i++) own[\$i] = 1 }
  { print }")
printf "%s\n" "$all" 1<>/etc/hosts
truncate -s $((${#all} + 1)) /etc/hosts'`

// writeZone finishes what it began, also when a run ends meanwhile.
func writeZone(ctx context.Context, container, zone string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := dockerIn(ctx, zone, "exec", "--interactive", container, "sh", "-c", writeZoneScript)
	// A machine that is being terminated needs no records.
	if err != nil && !isGone(err) && !strings.Contains(err.Error(), "is not running") {
		return fmt.Errorf("records of %s: %w", container, err)
	}
	return nil
}
