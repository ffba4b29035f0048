// Command load asks a server the same thing over and over, over HTTP/1.1 or gRPC, and prints what it saw: one line of
// JSON when the warm-up is over and one for each interval after it.
//
// A closed loop (no -rate) keeps every connection busy. An open loop (-rate) draws the times of its requests before
// they are sent, as independent clients would send them, and counts latency from the time at which a request was due:
// a server that stalls is charged for all who waited meanwhile (no coordinated omission).
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are what the command line says.
type Options struct {
	protocol    string
	address     string
	path        string
	headers     []string
	body        []byte
	connections int
	rate        float64
	warmUp      time.Duration
	interval    time.Duration
	intervals   int
}

// A caller owns one connection and asks one thing at a time.
type caller interface {
	call() error
}

// Line is what is printed for each interval; latencies are in microseconds.
type Line struct {
	Event    string             `json:"event"`
	Seconds  float64            `json:"seconds"`
	Requests int64              `json:"requests"`
	Errors   int64              `json:"errors"`
	Error    string             `json:"error,omitempty"`
	Latency  map[string]float64 `json:"latency"`
	// Requests that were due and not yet answered when the interval ended.
	Waiting int64 `json:"waiting"`
	// The generator's own share of a core: near 1, it is the limit and not the server.
	Busy float64 `json:"busy"`
}

func main() {
	log.SetFlags(0)
	options, err := readOptions()
	if err != nil {
		log.Fatal(err)
	}
	seen := newRecorder()
	var waiting atomic.Int64
	due, err := schedule(options, &waiting)
	if err != nil {
		log.Fatal(err)
	}
	for range options.connections {
		one, err := connect(options)
		if err != nil {
			log.Fatal(err)
		}
		go work(one, due, seen, &waiting)
	}
	time.Sleep(options.warmUp)
	seen.take()
	report(Line{Event: "begin"})
	for range options.intervals {
		begun, used := time.Now(), cpuSeconds()
		time.Sleep(options.interval)
		line := seen.take()
		line.Event, line.Seconds, line.Waiting = "interval", time.Since(begun).Seconds(), waiting.Load()
		line.Busy = (cpuSeconds() - used) / line.Seconds
		report(line)
	}
}

func readOptions() (Options, error) {
	var o Options
	var headers, body string
	flag.StringVar(&o.protocol, "protocol", "http", "http or grpc")
	flag.StringVar(&o.address, "address", "127.0.0.1:3000", "host:port")
	flag.StringVar(&o.path, "path", "/", "the path of HTTP, or gRPC's /service/method")
	flag.StringVar(&headers, "headers", "", "`name: value` lines of HTTP")
	flag.StringVar(&body, "body", "", "the file with the body of HTTP, or the encoded message of gRPC")
	flag.IntVar(&o.connections, "connections", 1, "how many connections, each with one request at a time")
	flag.Float64Var(&o.rate, "rate", 0, "requests per second, on average; 0 is a closed loop")
	flag.DurationVar(&o.warmUp, "warm-up", time.Second, "not counted")
	flag.DurationVar(&o.interval, "interval", 3*time.Second, "how long each line counts")
	flag.IntVar(&o.intervals, "intervals", 1, "how many lines to print")
	flag.Parse()
	if headers != "" {
		o.headers = strings.Split(headers, "\n")
	}
	var err error
	if o.body, err = os.ReadFile(body); err != nil {
		return o, fmt.Errorf("-body: %w", err)
	}
	return o, nil
}

func connect(o Options) (caller, error) {
	switch o.protocol {
	case "http":
		return newHTTPCaller(o)
	case "grpc":
		return newGRPCCaller(o)
	}
	return nil, fmt.Errorf("-protocol: expected http or grpc, got %q", o.protocol)
}

// schedule gives the channel of the times at which requests are due, or none for a closed loop.
func schedule(o Options, waiting *atomic.Int64) (chan time.Time, error) {
	if o.rate == 0 {
		return nil, nil
	}
	timer, err := newTimer()
	if err != nil {
		return nil, err
	}
	due := make(chan time.Time, 1<<20)
	go func() {
		// The same arrivals for every server.
		chance := rand.New(rand.NewPCG(7, 7))
		for next := time.Now(); ; {
			next = next.Add(time.Duration(chance.ExpFloat64() / o.rate * float64(time.Second)))
			timer.sleepUntil(next)
			waiting.Add(1)
			due <- next
		}
	}()
	return due, nil
}

func work(one caller, due chan time.Time, seen *recorder, waiting *atomic.Int64) {
	if due == nil {
		for {
			begun := time.Now()
			err := one.call()
			seen.add(time.Since(begun), err)
		}
	}
	for begun := range due {
		err := one.call()
		seen.add(time.Since(begun), err)
		waiting.Add(-1)
	}
}

func report(line Line) {
	text, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
