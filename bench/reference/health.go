// SPDX-License-Identifier: LGPL-2.1-or-later

// Reference: a health endpoint as a Go service writes it, on net/http.
// Serves the listening socket that it finds as descriptor 3.

package main

import (
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.FileListener(os.NewFile(3, "http"))
	if err != nil {
		log.Fatal("Descriptor 3 must be a listening socket: ", err)
	}

	http.HandleFunc("/livez", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte("ok"))
	})

	log.Fatal(http.Serve(listener, nil))
}
