// CoreDNS with the plugins of a sandbox, and no other: each one costs compile time.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// The order is that of the plugins: a template before the cluster's zone would hide it.
	dnsserver.Directives = []string{
		"bind", "ready", "errors", "cache", "hosts", "kubernetes", "template",
	}
	coremain.Run()
}
