package nats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// certificate makes one in PEM files, signed by parent, or by itself.
func certificate(t *testing.T, dir, name string, serial int64, parent *tls.Certificate) (c tls.Certificate, certFile,
	keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	signer, signerKey := template, any(key)
	if parent != nil {
		signer, signerKey = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signerKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	return c, certFile, keyFile
}

// Both ends prove who they are. A client that cannot, or does not trust the server, gets an error.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, caFile, _ := certificate(t, dir, "ca", 1, nil)
	host, _, _ := certificate(t, dir, "host", 2, &ca)
	_, certFile, keyFile := certificate(t, dir, "client", 3, &ca)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	so := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, TLSVerify: true, TLSTimeout: 5,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{host}, ClientCAs: pool,
			ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}}
	s, err := start(so, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(s) })
	o := Options{Project: "test", URLs: []string{"tls://" + s.Addr().String()}, CAFile: caFile, CertFile: certFile,
		KeyFile: keyFile}
	d := open(t, o)
	serve(t, process(t, d), "callee", echo)
	dial(t, process(t, d), "callee")
	o.CertFile, o.KeyFile = "", ""
	if d, err := Open(t.Context(), o); err == nil {
		t.Errorf("a client without a certificate got in: %v", d.Close())
	}
	o.CAFile = ""
	if d, err := Open(t.Context(), o); err == nil {
		t.Errorf("a server that nobody trusts was trusted: %v", d.Close())
	} else if !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}
