module serin.dev/bench/control

go 1.26.0
