package mail

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var testLimits = Limits{PerHour: 3, PerDay: 8}

// sent runs events of a kind through the limits and returns what was sent, in
// order, as a letter each: m for a mail, ! for the last one, . for silence.
func sent(l Limits, times ...time.Duration) string {
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	var before []past
	var marks []byte
	for _, d := range times {
		at := start.Add(d)
		switch l.judge(NewDevice, before, at) {
		case write:
			before, marks = append(before, past{at: at, kind: NewDevice}), append(marks, 'm')
		case sumUp:
			before, marks = append(before, past{at: at, kind: more}), append(marks, '!')
		case silence:
			marks = append(marks, '.')
		}
	}
	return string(marks)
}

func TestLimits(t *testing.T) {
	min := time.Minute
	every := func(n int, step time.Duration) (times []time.Duration) {
		for i := range n {
			times = append(times, time.Duration(i)*step)
		}
		return times
	}
	for name, test := range map[string]struct {
		times []time.Duration
		want  string
	}{
		"few":                     {every(3, min), "mmm"},
		"a burst":                 {every(9, min), "mmm!....."},
		"a burst, and later":      {append(every(6, min), 62*min, 64*min, 66*min), "mmm!...mm"},
		"slowly, more than a day": {every(12, 2*time.Hour), "mmmmmmmm!..."},
		"the next day":            {append(every(5, min), 25*time.Hour, 25*time.Hour+min), "mmm!.mm"},
	} {
		if got := sent(testLimits, test.times...); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// Whatever somebody makes happen, an inbox gets no more than the limits and the
// mail that sums up.
func TestLimits_HoldInEveryWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{PerHour: rapid.IntRange(1, 4).Draw(t, "hour"), PerDay: rapid.IntRange(4, 9).Draw(t, "day")}
		at := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
		var before []past
		for range rapid.IntRange(1, 150).Draw(t, "events") {
			at = at.Add(time.Duration(rapid.IntRange(0, 5400).Draw(t, "seconds")) * time.Second)
			kind := NewDevice
			switch l.judge(kind, before, at) {
			case silence:
				continue
			case sumUp:
				kind = more
			case write:
			}
			before = append(before, past{at: at, kind: kind})
			hour, day := 0, 0
			for _, p := range before {
				if at.Sub(p.at) < time.Hour {
					hour++
				}
				if at.Sub(p.at) < 24*time.Hour {
					day++
				}
			}
			if hour > l.PerHour+1 || day > l.PerDay+1 {
				t.Fatalf("%d in an hour, %d in a day, limits %+v", hour, day, l)
			}
		}
	})
}

// A change of the password is told whatever else happens.
func TestLimits_NeverBuryWhatOnlyTheHolderCanDo(t *testing.T) {
	now := time.Now()
	before := []past{{at: now, kind: more}}
	for range 50 {
		before = append(before, past{at: now, kind: NewDevice})
	}
	if got := testLimits.judge(PasswordSet, before, now); got != write {
		t.Errorf("got %v", got)
	}
	if got := testLimits.judge(NewDevice, append(before, past{at: now, kind: PasswordSet}), now); got != silence {
		t.Errorf("a change of the password breaks the silence: %v", got)
	}
}

func TestLimits_StrangersCannotUseThemUp(t *testing.T) {
	now := time.Now()
	before := []past{{at: now.Add(-5 * time.Hour), kind: BruteForce}}
	if got := testLimits.judge(BruteForce, before, now); got != silence {
		t.Errorf("five hours later: %v", got)
	}
	if got := testLimits.judge(BruteForce, before, now.Add(time.Hour)); got != write {
		t.Errorf("six hours later: %v", got)
	}
	if got := testLimits.judge(NewDevice, before, now); got != write {
		t.Errorf("another mail: %v", got)
	}
}
