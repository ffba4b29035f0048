// Command control answers every request of HTTP/1.1 with the same few bytes after so much work on the processor: one
// thread, one loop over epoll, nothing that it would have to wait for, collect or compile. What its clients wait for
// beyond that work, they wait for the machine, and no server of as much work per request can do better.
package main

import (
	"bytes"
	"flag"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// Longer than what a request of one row needs; a larger body is counted and thrown away.
const bufferBytes = 256 << 10

var answer = []byte("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

// A connection is in the head of a request, of which it keeps the bytes, or owes the rest of a body.
type connection struct {
	head []byte
	owed int
}

func main() {
	log.SetFlags(0)
	address := flag.String("address", "127.0.0.1:3000", "host:port")
	duration := flag.Duration("work", 75*time.Microsecond, "how long each request keeps the processor busy")
	flag.Parse()
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	rounds := calibrate(*duration)
	if err := serve(*address, func() { work(rounds) }); err != nil {
		log.Fatal(err)
	}
}

var sink uint64

// work computes in registers, so that its time depends on the processor alone.
func work(rounds int) {
	x := sink | 1
	for range rounds {
		x = x*6364136223846793005 + 1442695040888963407
	}
	sink = x
}

// calibrate finds how many rounds take so long at the processor's best.
func calibrate(wanted time.Duration) int {
	const rounds = 1_000_000
	best := time.Hour
	for range 50 {
		begun := time.Now()
		work(rounds)
		best = min(best, time.Since(begun))
	}
	return int(float64(rounds) * float64(wanted) / float64(best))
}

func serve(address string, work func()) error {
	listener, err := listen(address)
	if err != nil {
		return err
	}
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := watch(poll, listener); err != nil {
		return err
	}
	connections := map[int]*connection{}
	events, buffer := make([]syscall.EpollEvent, 256), make([]byte, bufferBytes)
	for {
		count, err := syscall.EpollWait(poll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, event := range events[:count] {
			fd := int(event.Fd)
			if fd == listener {
				if err := accept(poll, listener, connections); err != nil {
					return err
				}
			} else if !read(fd, connections[fd], buffer, work) {
				delete(connections, fd)
				syscall.Close(fd)
			}
		}
	}
}

func listen(address string) (int, error) {
	where, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return 0, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: where.Port, Addr: [4]byte(where.IP.To4())}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	return fd, os.NewSyscallError("listen", syscall.Listen(fd, syscall.SOMAXCONN))
}

func watch(poll, fd int) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &event))
}

func accept(poll, listener int, connections map[int]*connection) error {
	fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("accept4", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	connections[fd] = &connection{}
	return watch(poll, fd)
}

// read takes what came and answers a request that is complete, of which clients send one at a time; it says whether the
// connection goes on.
func read(fd int, from *connection, buffer []byte, work func()) bool {
	count, err := syscall.Read(fd, buffer)
	if err != nil || count == 0 {
		return false
	}
	if from.owed > 0 {
		from.owed -= count
	} else {
		from.head = append(from.head, buffer[:count]...)
		head, body, complete := bytes.Cut(from.head, []byte("\r\n\r\n"))
		if !complete {
			return true
		}
		from.owed = bodyBytes(head) - len(body)
		from.head = from.head[:0]
	}
	if from.owed > 0 {
		return true
	}
	work()
	_, err = syscall.Write(fd, answer)
	return err == nil
}

func bodyBytes(head []byte) int {
	for _, line := range bytes.Split(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			size, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			if err == nil {
				return size
			}
		}
	}
	return 0
}
