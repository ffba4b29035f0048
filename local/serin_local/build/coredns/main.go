// Command coredns is CoreDNS with only the plugins that the local cluster's Corefile names.
//
// Half of CoreDNS's usual build time and size are clients of cloud DNS services that a local cluster never asks.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

// The order is the order in which a query passes through the plugins, as in CoreDNS's own plugin.cfg.
func init() {
	dnsserver.Directives = []string{"health", "ready", "errors", "loadbalance", "cache", "kubernetes", "forward"}
}

func main() {
	coremain.Run()
}
