package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
)

func TestV_13_Argon2id(t *testing.T) {
	const stored = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxNmJ5dGVzIQ$tPXA8KRaMxUDqoVFOkz5qceiysamiMSLxBrcC5sAtmo"
	k := newHasher(1, 1)
	if ok, weak, err := k.verify(t.Context(), "password", stored); err != nil || !ok || weak {
		t.Fatalf("verify = %v, weak %v, %v", ok, weak, err)
	}
	if ok, _, err := k.verify(t.Context(), "Password", stored); err != nil || ok {
		t.Fatalf("another password verifies: %v, %v", ok, err)
	}
	made, err := k.hash(t.Context(), "password")
	if err != nil || !strings.HasPrefix(made, "$argon2id$v=19$m=19456,t=2,p=1$") || made == stored {
		t.Fatalf("hash has another form or no fresh salt (error %v)", err)
	}
	h, err := parseHash(made)
	if err != nil || len(h.salt) != 16 || len(h.tag) != 32 {
		t.Fatalf("parseHash(hash) = salt %d, tag %d bytes, %v", len(h.salt), len(h.tag), err)
	}
	if ok, weak, err := k.verify(t.Context(), "password", made); err != nil || !ok || weak {
		t.Fatalf("verify(hash) = %v, weak %v, %v", ok, weak, err)
	}
}

func TestParseHash_Refuses(t *testing.T) {
	const salt, tag = "c29tZXNhbHQxNmJ5dGVzIQ", "tPXA8KRaMxUDqoVFOkz5qceiysamiMSLxBrcC5sAtmo"
	good := "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + tag
	if _, err := parseHash(good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":             "",
		"argon2i":           strings.Replace(good, "argon2id", "argon2i", 1),
		"bcrypt":            "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"old version":       strings.Replace(good, "v=19", "v=16", 1),
		"too much memory":   strings.Replace(good, "m=19456", "m=4194304", 1),
		"too little memory": strings.Replace(good, "m=19456", "m=1", 1),
		"no pass":           strings.Replace(good, "t=2", "t=0", 1),
		"too many passes":   strings.Replace(good, "t=2", "t=1000", 1),
		"no thread":         strings.Replace(good, "p=1", "p=0", 1),
		"negative":          strings.Replace(good, "t=2", "t=-2", 1),
		"leading zero":      strings.Replace(good, "t=2", "t=02", 1),
		"extra parameter":   strings.Replace(good, "p=1", "p=1,x=1", 1),
		"padding":           good + "=",
		"short salt":        "$argon2id$v=19$m=19456,t=2,p=1$c29t$" + tag,
		"short tag":         "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$c29t",
		"more fields":       good + "$",
		"trailing bits":     good[:len(good)-1] + "p",
		"line end":          good[:len(good)-4] + "\n" + good[len(good)-4:],
	} {
		if _, err := parseHash(bad); !errors.Is(err, errHash) {
			t.Errorf("%s: accepted (%v)", name, err)
		}
	}
}

func policy(t *testing.T) *Service {
	t.Helper()
	return &Service{cfg: Config{MinPassword: 15}}
}

func TestNI_1_LengthAndForm(t *testing.T) {
	s := policy(t)
	for name, test := range map[string]struct {
		password string
		want     string // part of the reason; "" means accepted
	}{
		"14 characters":                        {"vV9#kLq2!mZx7w", "at least 15"},
		"15 characters":                        {"vV9#kLq2!mZx7wR", ""},
		"15 code points of four bytes":         {"🦊🐙🦉🐝🐢🦂🦕🐬🦈🐘🦒🦔🐧🦜🐓", ""},
		"14 code points of four bytes":         {"🦊🐙🦉🐝🐢🦂🦕🐬🦈🐘🦒🦔🐧🦜", "at least 15"},
		"64 characters":                        {strings.Repeat("vV9#kLq2", 7) + "uYt5(pO1", ""},
		"long":                                 {strings.Repeat("kx7 q", 400) + "vV9#kLq2!mZx7wR", ""},
		"too long":                             {strings.Repeat("vV9#kLq2!mZx7wR ", 257), "longer"},
		"letters only, no composition rule":    {"wombat gravel teapot", ""},
		"digits only":                          {"839205716402938", ""},
		"spaces around count and stay":         {"  vV9#kLq2!mZ  x", ""},
		"not UTF-8":                            {"vV9#kLq2!mZx7wR\xff", "UTF-8"},
		"composition does not add a character": {"vV9#kLq2!mZx7e\u0301", "at least 15"},
	} {
		_, err := s.newPassword(secret.New(test.password), "alice")
		if got := err == nil; got != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: err = %v, want %q", name, err, test.want)
		}
	}
	// One password typed on two keyboards is one password; nothing is cut or trimmed.
	composed, err1 := s.newPassword(secret.New("Zürich–Genève ﬁve 42"))
	decomposed, err2 := s.newPassword(secret.New("Zu\u0308rich–Gene\u0300ve five 42"))
	if err1 != nil || err2 != nil || composed != decomposed {
		t.Errorf("normal forms differ (%v, %v)", err1, err2)
	}
	long := strings.Repeat("vV9#kLq2!mZx7wR ", 200)
	if got, err := s.newPassword(secret.New(long)); err != nil || got != long {
		t.Errorf("a long password was changed: %d of %d bytes, %v", len(got), len(long), err)
	}
}

func TestNI_2_Blocklist(t *testing.T) {
	s := policy(t)
	context := []string{"alice.liddell@example.com", "Alice Liddell", "alice.liddell@example.com"}
	for name, password := range map[string]string{
		"one character":             "aaaaaaaaaaaaaaaaaaaa",
		"digits in order":           "123456789012345678",
		"digits backwards":          "9876543210987654",
		"alphabet":                  "abcdefghijklmnopqrstuvwxyz",
		"keyboard rows":             "qwertyuiopasdfghjkl",
		"keyboard rows and digits":  "qwertyuiop1234567890",
		"common word and digits":    "password123456789",
		"common word twice":         "passwordpassword",
		"common words":              "adminpassword123",
		"replaced letters":          "P@$$w0rd P@$$w0rd",
		"replaced letters, digits":  "p4ssw0rd!!!!!!!!!",
		"repeats a good short part": "kX9#vL2kX9#vL2kX9#vL2",
		"repeats a part, cut off":   "wombatgravewombatgra",
		"login":                     "alice.liddell@example.com",
		"login and year":            "alice.liddell2026",
		"name backed by digits":     "AliceLiddell123456",
		"product":                   "jetonjeton password",
		"famous pass phrase":        "correcthorsebatterystaple",
		"upper case":                "PASSWORD12345QWERTY",
		"three common words":        "summer dragon monkey",
	} {
		_, err := s.newPassword(secret.New(password), context...)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("%s: the reason shows the password", name)
		}
	}
	for name, password := range map[string]string{
		"generated":               "Xk4-pQ7v_Zr2Tn9wLs0e",
		"pass phrase":             "marzipan otter cliff tango",
		"common words among rest": "my dragon ate 3 blue teapots",
		"short period, long unit": "marzipan-otter-cliff marzipan-otter-cliff ",
		"login among rest":        "alice wanders in strange gardens",
	} {
		if _, err := s.newPassword(secret.New(password), context...); err != nil {
			t.Errorf("%s: refused: %v", name, err)
		}
	}
}

func TestNormalizeLogin(t *testing.T) {
	for in, want := range map[string]string{
		"  Alice@Example.COM\t": "alice@example.com",
		"ＡＬＩＣＥ":                 "alice",
		"Jose\u0301":            "josé",
		"ﬁona":                  "fiona",
		"İ":                     "i",
	} {
		got, err := NormalizeLogin(in)
		if err != nil || got != want {
			t.Errorf("NormalizeLogin(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := NormalizeLogin(got); err != nil || again != got {
			t.Errorf("NormalizeLogin is not stable: %q, then %q, %v", got, again, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "spaces": " \t ", "control": "a\x00b", "line end inside": "a\nb", "zero width": "ali\u200bce", "direction": "ali\u202ece",
		"not UTF-8": "a\xffb", "255 bytes": strings.Repeat("a", 255), "grows when normalised": strings.Repeat("\ufdfa", 80),
	} {
		if got, err := NormalizeLogin(bad); err == nil {
			t.Errorf("%s: accepted as %q", name, got)
		}
	}
	if _, err := NormalizeLogin(strings.Repeat("a", 254)); err != nil {
		t.Errorf("254 bytes: %v", err)
	}
}

func FuzzNormalizeLogin(f *testing.F) {
	for _, s := range []string{"Alice", "ﬁ", "İ", "\u1e9e", "a\u0301", "ǰ\u0345"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := NormalizeLogin(in)
		if err != nil {
			return
		}
		if again, err := NormalizeLogin(got); err != nil || again != got || len(got) > maxLogin {
			t.Fatalf("NormalizeLogin(%q) = %q, then %q, %v", in, got, again, err)
		}
	})
}

// No more hashes at once than allowed, no more waiting than the queue holds,
// and whoever gives up leaves the queue.
func TestHasher_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newHasher(2, 3)
		release := make(chan struct{})
		var running, peak atomic.Int64
		k.derive = func(string, phc) []byte {
			peak.Store(max(peak.Load(), running.Add(1)))
			<-release
			running.Add(-1)
			return nil
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		var group sync.WaitGroup
		var finished, gaveUp atomic.Int64
		errGone := errors.New("the client has gone")
		start := func(ctx context.Context) {
			group.Go(func() {
				switch _, err := k.run(ctx, "", k.nobody); {
				case err == nil:
					finished.Add(1)
				case errors.Is(err, errGone):
					gaveUp.Add(1)
				default:
					t.Errorf("run: %v", err)
				}
			})
			synctest.Wait()
		}
		for range 4 {
			start(t.Context())
		}
		start(ctx)
		if _, err := k.run(t.Context(), "", k.nobody); err == nil {
			t.Error("the queue has no end")
		} else if throttled, ok := errors.AsType[*throttle.Error](err); !ok || throttled.Seconds() < 1 {
			t.Errorf("full queue: %v, want *ThrottledError", err)
		}
		cancel(errGone)
		synctest.Wait()
		start(t.Context()) // takes the place of the one who left
		close(release)
		group.Wait()
		if peak.Load() != 2 || finished.Load() != 5 || gaveUp.Load() != 1 || k.waiting.Load() != 0 {
			t.Errorf("at once %d, finished %d, gave up %d, still waiting %d; want 2, 5, 1, 0", peak.Load(), finished.Load(), gaveUp.Load(), k.waiting.Load())
		}
	})
}
