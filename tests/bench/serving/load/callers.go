package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Servers that fall over must not be asked in a tight loop.
const pause = 50 * time.Millisecond

const maxMessage = 64 << 20

// httpCaller writes a request that was put together once, and reads the answer with the standard library.
type httpCaller struct {
	address string
	request []byte
	conn    net.Conn
	reader  *bufio.Reader
}

func newHTTPCaller(o Options) (*httpCaller, error) {
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", o.path, o.address, len(o.body))
	for _, header := range o.headers {
		fmt.Fprintf(&request, "%s\r\n", header)
	}
	request.WriteString("\r\n")
	request.Write(o.body)
	c := &httpCaller{address: o.address, request: request.Bytes()}
	return c, c.dial()
}

func (c *httpCaller) dial() error {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		time.Sleep(pause)
		return err
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 64<<10)
	return nil
}

func (c *httpCaller) call() error {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return err
		}
	}
	again, err := c.ask()
	if !again {
		c.conn.Close()
		c.conn = nil
	}
	return err
}

// ask says whether the connection may be used again, and what went wrong.
func (c *httpCaller) ask() (bool, error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var refusal error
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		refusal = fmt.Errorf("%s: %s", answer.Status, text)
	}
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return false, err
	}
	return !answer.Close, refusal
}

// raw hands bytes through, for messages that were encoded before.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = data
	return nil
}

func (raw) Name() string { return "proto" }

type grpcCaller struct {
	conn   *grpc.ClientConn
	method string
	body   []byte
	answer []byte
}

func newGRPCCaller(o Options) (*grpcCaller, error) {
	limits := grpc.WithDefaultCallOptions(
		grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage))
	// Sent again, a failed request would be counted as none.
	conn, err := grpc.NewClient(
		o.address, limits, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		return nil, err
	}
	return &grpcCaller{conn: conn, method: o.path, body: o.body}, nil
}

func (c *grpcCaller) call() error {
	err := c.conn.Invoke(context.Background(), c.method, &c.body, &c.answer)
	if err != nil {
		time.Sleep(pause)
	}
	return err
}
