package maskedtelemetry

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMask: an address with a port, as Go writes it, does not outlive any message around it, nor does masking twice
// change anything.
func FuzzMask(f *testing.F) {
	f.Add("http: TLS handshake error from ", []byte{192, 0, 2, 7}, uint16(4318), ": EOF")
	f.Add("", []byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, uint16(0), "")
	f.Add("[", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}, uint16(65535), "]")
	f.Add("é ", []byte{255, 255, 255, 255}, uint16(1), " \xff")
	f.Fuzz(func(t *testing.T, before string, raw []byte, port uint16, after string) {
		address, valid := netip.AddrFromSlice(raw)
		if !valid {
			return
		}
		// A message has a blank or a bracket there; a word that the digits would belong to is no address.
		written := netip.AddrPortFrom(address, port).String()
		masked := mask(before + " " + written + " " + after)
		require.NotContains(t, masked, written)
		require.Contains(t, masked, placeholder)
		require.Equal(t, masked, mask(masked))
		if !strings.ContainsAny(before+after, ".[]:") {
			require.Equal(t, before+" "+placeholder+" "+after, masked)
		}
	})
}
