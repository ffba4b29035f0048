package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A timer wakes within microseconds; time.Sleep of an otherwise idle program is late by up to a millisecond, which
// would be added to every latency of an open loop.
type timer struct {
	fd   int
	file *os.File
}

func newTimer() (*timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &timer{fd, os.NewFile(uintptr(fd), "timer")}, nil
}

func (t *timer) sleepUntil(when time.Time) {
	left := time.Until(when)
	if left <= 0 {
		return
	}
	wanted := unix.ItimerSpec{Value: unix.NsecToTimespec(left.Nanoseconds())}
	if err := unix.TimerfdSettime(t.fd, 0, &wanted, nil); err != nil {
		panic(os.NewSyscallError("timerfd_settime", err))
	}
	var expirations [8]byte
	if _, err := t.file.Read(expirations[:]); err != nil {
		panic(err)
	}
}
