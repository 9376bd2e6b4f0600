package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// calendar is a systemd calendar expression: [weekdays] [year-month-day] [hour:minute[:second]] [UTC].
// Each field holds the values that match. A year cannot be given, because a backup must not come to an end.
type calendar struct {
	weekdays      [7]bool // from Sunday, as in package time
	months, days  []bool  // from 0, which is unused
	fromEnd       bool    // days count back from the last of the month
	hours, minute []bool
}

var shorthand = map[string]string{
	"minutely":     "*-*-* *:*:00",
	"hourly":       "*-*-* *:00:00",
	"daily":        "*-*-* 00:00:00",
	"weekly":       "Mon *-*-* 00:00:00",
	"monthly":      "*-*-01 00:00:00",
	"quarterly":    "*-01,04,07,10-01 00:00:00",
	"semiannually": "*-01,07-01 00:00:00",
	"yearly":       "*-01-01 00:00:00",
	"annually":     "*-01-01 00:00:00",
}

var weekdayNames = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func parseCalendar(text string) (calendar, error) {
	c := calendar{}
	words := strings.Fields(text)
	if len(words) > 0 && strings.EqualFold(words[len(words)-1], "UTC") {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return c, fmt.Errorf("it is empty")
	}
	if len(words) == 1 {
		if long, ok := shorthand[strings.ToLower(words[0])]; ok {
			words = strings.Fields(long)
		}
	}
	c.weekdays = [7]bool{true, true, true, true, true, true, true}
	date, clock := "*-*-*", "00:00:00"
	if letter(words[0][0]) {
		if err := c.parseWeekdays(words[0]); err != nil {
			return c, err
		}
		words = words[1:]
	}
	if len(words) > 0 && !strings.Contains(words[0], ":") {
		date, words = words[0], words[1:]
	}
	if len(words) > 0 && strings.Contains(words[0], ":") {
		clock, words = words[0], words[1:]
	}
	if len(words) > 0 {
		if strings.Contains(words[0], "/") && letter(words[0][0]) {
			return c, fmt.Errorf("%q is a time zone, and only UTC is supported, which is also what the nodes have", words[0])
		}
		return c, fmt.Errorf("%q does not belong there", words[0])
	}
	if err := c.parseDate(date); err != nil {
		return c, err
	}
	return c, c.parseClock(clock)
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func (c *calendar) parseWeekdays(text string) error {
	c.weekdays = [7]bool{}
	for _, part := range strings.Split(strings.TrimSuffix(text, ","), ",") {
		from, to, isRange := strings.Cut(part, "..")
		if !isRange {
			from, to, isRange = strings.Cut(part, "-")
		}
		if !isRange {
			to = from
		}
		first, ok := weekday(from)
		if !ok {
			return fmt.Errorf("%q is not a day of the week", from)
		}
		end, ok := weekday(to)
		if !ok {
			return fmt.Errorf("%q is not a day of the week", to)
		}
		// Weeks begin on Monday here: Fri..Sun is three days, Sun..Mon none.
		if (first+6)%7 > (end+6)%7 {
			return fmt.Errorf("%q runs backwards; a week begins on Monday", part)
		}
		for d := first; ; d = (d + 1) % 7 {
			c.weekdays[d] = true
			if d == end {
				break
			}
		}
	}
	return nil
}

func weekday(text string) (int, bool) {
	text = strings.ToLower(text)
	for i, name := range weekdayNames {
		if text == name || text == name[:3] {
			return i, true
		}
	}
	return 0, false
}

func (c *calendar) parseDate(text string) error {
	text, fromEnd := strings.Replace(text, "~", "-", 1), strings.Contains(text, "~")
	parts := strings.Split(text, "-")
	if len(parts) == 2 {
		parts = append([]string{"*"}, parts...)
	}
	if len(parts) != 3 {
		return fmt.Errorf("%q is not a date, which is year-month-day", text)
	}
	if parts[0] != "*" {
		return fmt.Errorf("the year must be *, or backups come to an end")
	}
	c.fromEnd = fromEnd
	var err error
	if c.months, err = field("month", parts[1], 1, 12); err != nil {
		return err
	}
	c.days, err = field("day", parts[2], 1, 31)
	return err
}

func (c *calendar) parseClock(text string) error {
	parts := strings.Split(text, ":")
	if len(parts) == 2 {
		parts = append(parts, "00")
	}
	if len(parts) != 3 {
		return fmt.Errorf("%q is not a time, which is hour:minute:second", text)
	}
	var err error
	if c.hours, err = field("hour", parts[0], 0, 23); err != nil {
		return err
	}
	if c.minute, err = field("minute", parts[1], 0, 59); err != nil {
		return err
	}
	seconds, err := field("second", parts[2], 0, 59)
	if err == nil && count(seconds) > 1 {
		return fmt.Errorf("the second must be one number")
	}
	return err
}

// field reads a list of values, ranges and repetitions: *, 3, 1..5, 0/6, 1,15.
func field(name, text string, low, high int) ([]bool, error) {
	matches := make([]bool, high+1)
	for _, part := range strings.Split(text, ",") {
		body, stepText, repeated := strings.Cut(part, "/")
		step := 1
		if repeated {
			var ok bool
			if step, ok = number(stepText); !ok || step < 1 {
				return nil, fmt.Errorf("%q is not a step of the %s", stepText, name)
			}
		}
		from, to := low, high
		if body != "*" {
			fromText, toText, isRange := strings.Cut(body, "..")
			var ok bool
			if from, ok = number(fromText); !ok || from < low || from > high {
				return nil, fmt.Errorf("%q is not a %s, which is from %d to %d", fromText, name, low, high)
			}
			switch {
			case isRange:
				if to, ok = number(toText); !ok || to < from || to > high {
					return nil, fmt.Errorf("%q is not the end of a range of %ss", toText, name)
				}
			case !repeated:
				to = from
			}
		}
		for n := from; n <= to; n += step {
			matches[n] = true
		}
	}
	return matches, nil
}

// number reads one to four digits.
func number(text string) (int, bool) {
	if len(text) < 1 || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func count(matches []bool) int {
	n := 0
	for _, m := range matches {
		if m {
			n++
		}
	}
	return n
}

// times are the events of a day that has any, from midnight.
func (c calendar) times() []time.Duration {
	var inDay []time.Duration
	for h, on := range c.hours {
		for m, too := range c.minute {
			if on && too {
				inDay = append(inDay, time.Duration(h)*time.Hour+time.Duration(m)*time.Minute)
			}
		}
	}
	return inDay
}

// shortestPause is the shortest time from one event to the next: between two of one day, or from the last of a day to the
// first of the next day.
func (c calendar) shortestPause() time.Duration {
	inDay := c.times()
	shortest := 24*time.Hour - inDay[len(inDay)-1] + inDay[0]
	if count(c.weekdays[:]) == 1 || count(c.days) == 1 {
		shortest += 24 * time.Hour // the next day has no event
	}
	for i := 1; i < len(inDay); i++ {
		shortest = min(shortest, inDay[i]-inDay[i-1])
	}
	return shortest
}

// longestGap is the largest number of days from one day with the event to the next, over the 28 years after which the
// days of the week fall on the same dates again. ever is false when no day matches.
func (c calendar) longestGap() (days int, ever bool) {
	if count(c.weekdays[:]) == 7 && count(c.months) == 12 && count(c.days) == 31 {
		return 1, true
	}
	start := time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC)
	const cycle = 28*365 + 7
	first, previous := -1, -1
	for i := range cycle {
		if !c.on(start.AddDate(0, 0, i)) {
			continue
		}
		if previous >= 0 {
			days = max(days, i-previous)
		} else {
			first = i
		}
		previous = i
	}
	if first < 0 {
		return 0, false
	}
	return max(days, first+cycle-previous), true
}

func (c calendar) on(day time.Time) bool {
	number := day.Day()
	if c.fromEnd {
		number = day.AddDate(0, 1, -day.Day()).Day() - day.Day() + 1
	}
	return c.weekdays[day.Weekday()] && c.months[day.Month()] && c.days[number]
}

// LongestPause is the longest time from one snapshot to the next that the schedule means; 0 for a schedule that was not
// validated.
func (b Backup) LongestPause() time.Duration {
	c, err := parseCalendar(b.Schedule)
	if err != nil {
		return 0
	}
	return c.longestPause()
}

// longestPause is the longest time from one event to the next.
func (c calendar) longestPause() time.Duration {
	days, ever := c.longestGap()
	if !ever {
		return 0
	}
	inDay := c.times()
	// From the last of one day to the first of the next, or between two of one day.
	longest := time.Duration(days)*24*time.Hour - inDay[len(inDay)-1] + inDay[0]
	for i := 1; i < len(inDay); i++ {
		longest = max(longest, inDay[i]-inDay[i-1])
	}
	return longest
}
