//go:build tools

// Package tools names the program that this module pins, so that go keeps its requirements.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
