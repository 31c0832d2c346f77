package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Message is one mail to one address.
type Message struct {
	ID      string // names the mail: the same for each try, so that a second copy is recognised as one
	To      string
	Subject string
	Text    string
	HTML    string
	Date    time.Time // when it was written, the same for each try
}

// keepIdle is how long a connection waits for the next mail. It carries a batch,
// and is no burden to the server when there is none.
const keepIdle = 5 * time.Second

// maxLines is how many connections are open at a time. Mail servers allow one
// client a few.
const maxLines = 4

// Transport hands mails to one server. It keeps its connections for the next
// mails for a few seconds. It is safe for concurrent use.
type Transport struct {
	server Server
	from   string        // the bare address of Server.From
	slots  chan struct{} // one taken for each mail under way

	mu   sync.Mutex
	idle []*line // guarded by mu: the last used last
}

// line is one connection to the server.
type line struct {
	client *gomail.Client
	smtp   *smtp.Client
	conn   net.Conn
	expire *time.Timer // while idle
}

// NewTransport checks server. It does not connect.
func NewTransport(server Server) (*Transport, error) {
	server, err := server.checked()
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	from, err := ParseSender(server.From)
	if err != nil {
		return nil, fmt.Errorf("mail: from: %w", err)
	}
	return &Transport{server: server, from: from.Address, slots: make(chan struct{}, maxLines)}, nil
}

// Send hands m to the server and returns its answer. The error is a *Failure,
// or ctx's when that ended first: then the mail may have been taken, and the
// next try is the same mail by its Message-ID.
func (t *Transport) Send(ctx context.Context, m Message) (answer string, err error) {
	to, err := ParseRecipient(m.To)
	if err != nil {
		return "", &Failure{Permanent: true, Text: "the address cannot be used: " + err.Error()}
	}
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return "", failed(ctx, to, ctx.Err())
	}
	l, reused, err := t.line(ctx)
	if err != nil {
		return "", failed(ctx, to, fmt.Errorf("connect: %w", err))
	}
	answer, err = t.send(ctx, l, m, to)
	if reused && errors.Is(err, errLineDead) { // closed while it was idle; nothing was said yet
		if l, err = t.dial(ctx); err != nil {
			return "", failed(ctx, to, fmt.Errorf("connect: %w", err))
		}
		answer, err = t.send(ctx, l, m, to)
	}
	if err != nil {
		return "", failed(ctx, to, err)
	}
	return answer, nil
}

// errLineDead says that a connection was found closed before anything was sent.
var errLineDead = errors.New("the connection was closed")

func (t *Transport) send(ctx context.Context, l *line, m Message, to string) (answer string, err error) {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()
	msg, err := t.compose(m, to)
	if err != nil {
		t.release(l, nil)
		return "", err
	}
	if !ascii(to) {
		if ok, _ := l.smtp.Extension("SMTPUTF8"); !ok {
			t.release(l, nil)
			return "", &Failure{Permanent: true, Text: "the server does not take addresses outside ASCII (SMTPUTF8)"}
		}
	}
	// A mail that is marked SMTPUTF8 is lost at the first relay that cannot do it, so only what needs it is.
	l.smtp.SkipSMTPUTF8(ascii(to))
	err = l.client.SendWithSMTPClient(l.smtp, msg)
	t.release(l, err)
	if sendErr, ok := errors.AsType[*gomail.SendError](err); ok && sendErr.Reason == gomail.ErrConnCheck {
		return "", errLineDead
	}
	if msg.IsDelivered() {
		return printable(msg.ServerResponse()), nil // whatever happened to the connection afterwards
	}
	if err == nil {
		err = errors.New("the server did not say that it took the mail")
	}
	return "", err
}

// compose builds the mail. Values reach headers only after the library encoded
// them, and the ones from outside have no control characters left before that.
func (t *Transport) compose(m Message, to string) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	if err := msg.From(t.server.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := msg.EnvelopeFrom(t.from); err != nil {
		return nil, fmt.Errorf("envelope from: %w", err)
	}
	if err := msg.To(to); err != nil {
		return nil, &Failure{Permanent: true, Text: "the address cannot be used"}
	}
	if t.server.ReplyTo != "" {
		if err := msg.ReplyTo(t.server.ReplyTo); err != nil {
			return nil, fmt.Errorf("reply-to: %w", err)
		}
	}
	msg.Subject(strings.ReplaceAll(printable(m.Subject), "=?", "= ?")) // nor may it pretend to be encoded
	msg.SetDateWithValue(m.Date)
	msg.SetMessageIDWithValue(printable(m.ID) + "@" + t.domain())
	// RFC 3834 section 5: nobody's holiday message answers this.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}

// domain is what follows the at sign in our address: the name we greet with, and
// the right side of every Message-ID.
func (t *Transport) domain() string { return t.from[strings.LastIndexByte(t.from, '@')+1:] }

// line takes an idle connection, or makes one.
func (t *Transport) line(ctx context.Context) (l *line, reused bool, err error) {
	if l = t.takeIdle(); l != nil {
		return l, true, nil
	}
	l, err = t.dial(ctx)
	return l, false, err
}

func (t *Transport) dial(ctx context.Context) (*line, error) {
	l := &line{}
	stop := func() bool { return false }
	options := []gomail.Option{
		gomail.WithPort(t.server.Port), gomail.WithTimeout(t.server.Timeout), gomail.WithHELO(t.domain()),
		gomail.WithTLSConfig(t.server.tlsConfig()),
		gomail.WithDialContextFunc(func(within context.Context, network, _ string) (net.Conn, error) {
			conn, err := t.connect(within, network)
			if err == nil {
				l.conn, stop = conn, context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}),
	}
	switch t.server.TLS {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if t.server.User != "" {
		options = append(options, gomail.WithUsername(t.server.User), gomail.WithPassword(t.server.Password.Reveal()),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	var err error
	if l.client, err = gomail.NewClient(t.server.Host, options...); err != nil {
		return nil, err
	}
	l.smtp, err = l.client.DialToSMTPClientWithContext(ctx)
	stop()
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// connect is done here and not by the library so that a connection can be closed
// at any time: while it greets, signs in or sends, the library heeds no context.
func (t *Transport) connect(ctx context.Context, network string) (net.Conn, error) {
	if t.server.TLS == ImplicitTLS {
		return (&tls.Dialer{Config: t.server.tlsConfig()}).DialContext(ctx, network, t.server.address())
	}
	return (&net.Dialer{}).DialContext(ctx, network, t.server.address())
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// release keeps a connection for the next mail, unless it is broken.
func (t *Transport) release(l *line, err error) {
	if sendErr, ok := errors.AsType[*gomail.SendError](err); err != nil && (!ok || sendErr.ErrorCode() == 0) {
		l.close() // in an unknown state
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l.expire = time.AfterFunc(keepIdle, func() { t.expired(l) })
	t.idle = append(t.idle, l)
}

// takeIdle takes the connection that was used last, nil if none is waiting.
func (t *Transport) takeIdle() *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.idle) > 0 {
		l := t.idle[len(t.idle)-1]
		t.idle = t.idle[:len(t.idle)-1]
		if l.expire.Stop() { // otherwise it is being closed
			return l
		}
	}
	return nil
}

func (t *Transport) expired(l *line) {
	t.mu.Lock()
	t.idle = slices.DeleteFunc(t.idle, func(other *line) bool { return other == l })
	t.mu.Unlock()
	l.quit()
}

// quit says goodbye, within the deadline of the last mail.
func (l *line) quit() {
	_ = l.client.CloseWithSMTPClient(l.smtp)
	l.close()
}

// Close ends the connections that wait for a next mail.
func (t *Transport) Close() {
	for l := t.takeIdle(); l != nil; l = t.takeIdle() {
		l.quit()
	}
}
