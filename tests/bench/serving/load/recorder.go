package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Longer than any server's own time-out.
const longest = 120 * time.Second

var quantiles = map[string]float64{"p50": 50, "p90": 90, "p99": 99, "p999": 99.9, "max": 100}

// A recorder counts answers and errors; of the errors it keeps the last one's words.
type recorder struct {
	mutex     sync.Mutex
	latencies *hdrhistogram.Histogram
	errors    int64
	last      string
}

func newRecorder() *recorder {
	return &recorder{latencies: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

func (r *recorder) add(latency time.Duration, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err != nil {
		r.errors++
		r.last = err.Error()
		return
	}
	_ = r.latencies.RecordValue(min(latency, longest).Microseconds())
}

// take gives what was seen since it was last called.
func (r *recorder) take() Line {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	line := Line{Requests: r.latencies.TotalCount(), Errors: r.errors, Error: r.last, Latency: map[string]float64{}}
	for name, share := range quantiles {
		line.Latency[name] = float64(r.latencies.ValueAtQuantile(share))
	}
	r.latencies.Reset()
	r.errors, r.last = 0, ""
	return line
}
