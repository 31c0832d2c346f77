package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of Linux's /proc/PID/stat.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used of the processors, in user and system time,
// or 0 where there is no /proc.
func cpuTime(pid int) time.Duration {
	_, own, _ := processStat(strconv.Itoa(pid))
	return own
}

// familyTime is cpuTime of a process and its children, those that have ended
// included: a PostgreSQL is one process for each connection.
func familyTime(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	_, own, ended := processStat(strconv.Itoa(pid))
	all := own + ended
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		if parent, own, ended := processStat(filepath.Base(p)); parent == pid {
			all += own + ended
		}
	}
	return all
}

func processStat(pid string) (parent int, own, ended time.Duration) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0, 0
	}
	// The name, which may hold anything, ends with the last parenthesis.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 15 {
		return 0, 0, 0
	}
	number := func(i int) time.Duration {
		n, _ := strconv.Atoi(fields[i])
		return time.Duration(n)
	}
	return int(number(1)), (number(11) + number(12)) * tick, (number(13) + number(14)) * tick
}
