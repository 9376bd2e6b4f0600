package config

import (
	"testing"
	"time"
)

func TestCalendar(t *testing.T) {
	for text, want := range map[string]struct{ gap, perHour int }{
		"daily":                            {1, 1},
		"Hourly":                           {1, 1},
		"weekly":                           {7, 1},
		"weekly UTC":                       {7, 1},
		"monthly":                          {31, 1},
		"quarterly":                        {92, 1},
		"semiannually":                     {184, 1},
		"yearly":                           {366, 1},
		"annually":                         {366, 1},
		"minutely":                         {1, 60},
		"*-*-* 00/6:00:00":                 {1, 1},
		"*-*-* 03:00:00 UTC":               {1, 1},
		"03:00":                            {1, 1},
		"*:0/30":                           {1, 2},
		"*:00/5:30":                        {1, 12},
		"Mon":                              {7, 1},
		"monday 3:15":                      {7, 1},
		"Mon..Fri *-*-* 03:00":             {3, 1},
		"Mon-Fri 03:00":                    {3, 1},
		"Sat,Sun 12:00":                    {6, 1},
		"Mon,Wed..Fri 12:00":               {3, 1},
		"*-*-1,15 00:00":                   {17, 1},
		"*-*-1..31/2 00:00":                {2, 1},
		"*-*-*/10 00:00":                   {10, 1},
		"*-02~01":                          {366, 1},
		"*-*~1 02:00":                      {31, 1},
		"12-05 08:05":                      {366, 1},
		"*-02-29":                          {1461, 1},
		"Fri *-*-13 04:00:00":              {427, 1},
		"*-1..3,10-* 8..18/2:0,15,30,45:0": {184, 4},
	} {
		c, err := parseCalendar(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		gap, ever := c.longestGap()
		if !ever || gap != want.gap || count(c.minute) != want.perHour {
			t.Errorf("%s: gap %d (%t), %d per hour; want %v", text, gap, ever, count(c.minute), want)
		}
	}
	for _, text := range []string{
		"", "   ", "UTC", "never", "0 3 * * *", "*/5 * * * *", "@daily", "2026-01-01", "*-13-01", "*-00-01", "*-*-32", "*-*-0",
		"24:00", "3:60", "3:00:60", "3:00:*", "3:00:0/2", "*-*-* 3", "Mon..", "..Fri", "Sun..Mon", "Mon Tue", "*-*-* 03:00 CET",
		"*-*-* 03:00 Europe/Berlin", "*-*-* 00/0:00", "*-*-* 00/x:00", "*-*-* 5..3:00", "1:2:3:4", "*-*-*-*", "-", ":", "*-*-* 03:00:00.5",
		"*-*-* 99999:00", "*-*-*, 03:00", "Mon, 03:00:00 x",
	} {
		if c, err := parseCalendar(text); err == nil {
			t.Errorf("%q is accepted: %+v", text, c)
		}
	}
	c, err := parseCalendar("*-04-31")
	if _, ever := c.longestGap(); err != nil || ever {
		t.Errorf("31 April: %v, comes %t", err, ever)
	}
}

func TestLongestPause(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"hourly":                time.Hour,
		"daily":                 24 * time.Hour,
		"weekly":                7 * 24 * time.Hour,
		"*:0/30":                30 * time.Minute,
		"*-*-* 00/6:00:00":      6 * time.Hour,
		"8..18/2:00":            14 * time.Hour,
		"03:00,10":              23*time.Hour + 50*time.Minute,
		"Mon..Fri 8,20:15":      60 * time.Hour,
		"never":                 0,
		"*-04-31":               0,
		"Sat,Sun *-*-* 12,18:0": 5*24*time.Hour + 18*time.Hour,
	} {
		if got := (Backup{Schedule: text}).LongestPause(); got != want {
			t.Errorf("%s pauses for %s, want %s", text, got, want)
		}
	}
}

func TestShortestPause(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"hourly": time.Hour, "daily": 24 * time.Hour, "weekly": 48 * time.Hour, "*:0/30": 30 * time.Minute, "03:0,4,8": 4 * time.Minute,
		"*:0,58": 2 * time.Minute, "0,23:1,59": 2 * time.Minute, "Mon 0,23:0,59": 59 * time.Minute, "minutely": time.Minute,
	} {
		c, err := parseCalendar(text)
		if got := c.shortestPause(); err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", text, got, want, err)
		}
	}
}
