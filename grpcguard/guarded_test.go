package jetongrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jetonhq/jeton"
	jetongrpc "github.com/jetonhq/jeton/grpcguard"
	"github.com/jetonhq/jeton/jetontest"
)

// The service answers who asks: once, or for each message of a stream.
var service = grpc.ServiceDesc{
	ServiceName: "test.Who", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: get}, {MethodName: "Delete", Handler: get}, {MethodName: "Health", Handler: get}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true},
		{StreamName: "Open", Handler: chat, ServerStreams: true, ClientStreams: true},
		{StreamName: "Upload", Handler: upload, ClientStreams: true},
		{StreamName: "Deaf", Handler: deaf, ServerStreams: true, ClientStreams: true},
	},
}

func who(ctx context.Context) *wrapperspb.StringValue {
	if token := jeton.FromContext(ctx); token != nil {
		return wrapperspb.String(token.Subject)
	}
	return wrapperspb.String("nobody")
}

func get(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	var in wrapperspb.StringValue
	if err := decode(&in); err != nil {
		return nil, err
	}
	return intercept(ctx, &in, &grpc.UnaryServerInfo{FullMethod: fullMethod(ctx)}, func(ctx context.Context, _ any) (any, error) { return who(ctx), nil })
}

func fullMethod(ctx context.Context) string {
	name, _ := grpc.Method(ctx)
	return name
}

func chat(_ any, s grpc.ServerStream) error {
	for {
		var in wrapperspb.StringValue
		if err := s.RecvMsg(&in); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(who(s.Context())); err != nil {
			return err
		}
	}
}

// uploaded counts the messages that reached a handler.
var uploaded atomic.Int64

func upload(_ any, s grpc.ServerStream) error {
	for {
		var in wrapperspb.StringValue
		if err := s.RecvMsg(&in); err != nil {
			return err
		}
		uploaded.Add(1)
	}
}

// deaf sends on its own, and makes nothing of an error.
func deaf(_ any, s grpc.ServerStream) error {
	for s.SendMsg(who(s.Context())) == nil {
		time.Sleep(time.Millisecond)
	}
	return nil
}

func serve(t *testing.T, authority *jetontest.Authority, change func(*jeton.Config)) *grpc.ClientConn {
	t.Helper()
	return serveWith(t, authority, change, map[string][]jeton.Demand{
		"/test.Who/Delete": {jeton.Scope("delete")}, "/test.Who/Chat": {jeton.MaxAge(2 * time.Second)},
	})
}

// serveWith is serve with other demands of single methods.
func serveWith(t *testing.T, authority *jetontest.Authority, change func(*jeton.Config), methods map[string][]jeton.Demand) *grpc.ClientConn {
	t.Helper()
	cfg := authority.Guard()
	cfg.Logger = slog.New(slog.DiscardHandler)
	if change != nil {
		change(&cfg)
	}
	guard, err := jeton.NewGuard(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close() })
	guarded, err := jetongrpc.New(jetongrpc.Config{
		Guard:   guard,
		Demands: []jeton.Demand{jeton.Scope("read")},
		Methods: methods,
		Public:  []string{"/test.Who/Health", "/test.Who/Open"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(guarded.Unary), grpc.StreamInterceptor(guarded.Stream))
	server.RegisterService(&service, nil)
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func with(ctx context.Context, authorization ...string) context.Context {
	for _, value := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	return ctx
}

// result is how a call ended, in a form that can be compared.
func result(err error, trailer metadata.MD) string {
	return fmt.Sprintf("%v%v", status.Code(err), trailer.Get(jetongrpc.TrailerReason))
}

func unary(ctx context.Context, conn *grpc.ClientConn, method string) (subject, ended string) {
	var out wrapperspb.StringValue
	var trailer metadata.MD
	err := conn.Invoke(ctx, "/test.Who/"+method, wrapperspb.String(""), &out, grpc.Trailer(&trailer))
	return out.GetValue(), result(err, trailer)
}

// open begins a stream and returns one round of it.
func open(t *testing.T, ctx context.Context, conn *grpc.ClientConn, method string) func() (subject, ended string) {
	t.Helper()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Who/"+method)
	if err != nil {
		t.Fatal(err)
	}
	return func() (subject, ended string) {
		_ = s.SendMsg(wrapperspb.String("")) // an end shows at the next line
		var out wrapperspb.StringValue
		err := s.RecvMsg(&out)
		if err == nil {
			return out.GetValue(), "OK[]"
		}
		return "", result(err, s.Trailer())
	}
}

func TestCalls(t *testing.T) {
	authority := jetontest.New(t)
	conn := serve(t, authority, nil)
	reader := "Bearer " + authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("read"))
	editor := "Bearer " + authority.Token(t, jetontest.Subject("bob"), jetontest.Scope("read", "delete"))
	nothing := "Bearer " + authority.Token(t, jetontest.Subject("cyd"), jetontest.Scope("delete"))
	ada, bob := authority.Account("ada"), authority.Account("bob")
	for _, test := range []struct {
		name          string
		method        string
		authorization []string
		subject       string
		ended         string
	}{
		{"accepted", "Get", []string{reader}, ada, "OK[]"},
		{"scheme in lower case", "Get", []string{strings.Replace(reader, "Bearer", "bearer", 1)}, ada, "OK[]"},
		{"no token", "Get", nil, "", "Unauthenticated[missing_token]"},
		{"another scheme", "Get", []string{"Basic YTpi"}, "", "Unauthenticated[missing_token]"},
		{"no token after the scheme", "Get", []string{"Bearer "}, "", "Unauthenticated[malformed_request]"},
		{"two tokens", "Get", []string{reader, editor}, "", "Unauthenticated[malformed_request]"},
		{"garbage", "Get", []string{"Bearer garbage"}, "", "Unauthenticated[malformed]"},
		{"altered", "Get", []string{reader[:len(reader)-8] + "AAAAAAAA"}, "", "Unauthenticated[bad_signature]"},
		{"without the scope of all", "Get", []string{nothing}, "", "PermissionDenied[insufficient_scope]"},
		{"without the scope of all, with the method's", "Delete", []string{nothing}, "", "PermissionDenied[insufficient_scope]"},
		{"without the scope of the method", "Delete", []string{reader}, "", "PermissionDenied[insufficient_scope]"},
		{"with both scopes", "Delete", []string{editor}, bob, "OK[]"},
		{"public", "Health", nil, "nobody", "OK[]"},
		{"public, with garbage", "Health", []string{"Bearer garbage"}, "nobody", "OK[]"},

		{"stream", "Chat", []string{reader}, ada, "OK[]"},
		{"stream, no token", "Chat", nil, "", "Unauthenticated[missing_token]"},
		{"stream, two tokens", "Chat", []string{reader, editor}, "", "Unauthenticated[malformed_request]"},
		{"stream, without the scope", "Chat", []string{nothing}, "", "PermissionDenied[insufficient_scope]"},
		{"stream, public", "Open", nil, "nobody", "OK[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := with(t.Context(), test.authorization...)
			var subject, ended string
			switch test.method {
			case "Chat", "Open":
				subject, ended = open(t, ctx, conn, test.method)()
			default:
				subject, ended = unary(ctx, conn, test.method)
			}
			if subject != test.subject || ended != test.ended {
				t.Errorf("%q, %s; want %q, %s", subject, ended, test.subject, test.ended)
			}
		})
	}
}

// until waits for the feed, or for time to pass.
func until(t *testing.T, want string, got func() string) {
	t.Helper()
	began := time.Now()
	for last := got(); last != want; last = got() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%s, want %s", last, want)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRevoked(t *testing.T) {
	authority := jetontest.New(t)
	conn := serve(t, authority, nil)
	token := authority.Token(t, jetontest.Scope("read"))
	ctx := with(t.Context(), "Bearer "+token)
	rounds := map[string]func() (string, string){
		"unary":                         func() (string, string) { return unary(ctx, conn, "Get") },
		"stream":                        open(t, ctx, conn, "Chat"),
		"stream whose handler is deaf":  open(t, ctx, conn, "Deaf"),
		"stream that was silent so far": nil,
	}
	for name, round := range rounds {
		if round == nil {
			continue
		}
		if subject, ended := round(); ended != "OK[]" || subject != authority.Account("alice") {
			t.Fatalf("%s: %q, %s", name, subject, ended)
		}
	}
	rounds["stream that was silent so far"] = open(t, ctx, conn, "Chat")
	authority.Revoke(t, token)
	for name, round := range rounds {
		t.Run(name, func(t *testing.T) {
			until(t, "Unauthenticated[revoked]", func() string { _, ended := round(); return ended })
		})
	}
}

// A handler that only receives gets nothing more either.
func TestRevoked_Upload(t *testing.T) {
	authority := jetontest.New(t)
	conn := serve(t, authority, nil)
	token := authority.Token(t, jetontest.Scope("read"))
	ctx := with(t.Context(), "Bearer "+token)
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/test.Who/Upload")
	if err != nil {
		t.Fatal(err)
	}
	before := uploaded.Load()
	if err := s.SendMsg(wrapperspb.String("one")); err != nil {
		t.Fatal(err)
	}
	until(t, "1", func() string { return fmt.Sprint(uploaded.Load() - before) })
	authority.Revoke(t, token)
	until(t, "Unauthenticated[revoked]", func() string { _, ended := unary(ctx, conn, "Get"); return ended })
	if err := s.SendMsg(wrapperspb.String("two")); err != nil {
		t.Fatal(err)
	}
	_ = s.CloseSend()
	err = s.RecvMsg(&wrapperspb.StringValue{})
	if got, want := result(err, s.Trailer()), "Unauthenticated[revoked]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := uploaded.Load() - before; got != 1 {
		t.Errorf("%d messages reached the handler, want 1", got)
	}
}

// A stream may be older than its method demands of a token, a call may not.
func TestStream_MaxAgeIsOfTheBeginning(t *testing.T) {
	authority := jetontest.New(t)
	conn := serve(t, authority, nil)
	ctx := with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read")))
	round := open(t, ctx, conn, "Chat")
	if _, ended := round(); ended != "OK[]" {
		t.Fatal(ended)
	}
	until(t, "Unauthenticated[too_old]", func() string { _, ended := open(t, ctx, conn, "Chat")(); return ended })
	if subject, ended := round(); subject != authority.Account("alice") || ended != "OK[]" {
		t.Errorf("the old stream: %q, %s", subject, ended)
	}
}

// What cannot be known is Unavailable, so that clients try again.
func TestUnavailable(t *testing.T) {
	authority := jetontest.New(t)
	conn := serve(t, authority, func(c *jeton.Config) { c.JWKSURL = c.Issuer + "/nowhere" })
	if _, got := unary(with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read"))), conn, "Get"); got != "Unavailable[keys_unavailable]" {
		t.Error(got)
	}
	closed := serve(t, authority, func(c *jeton.Config) { c.FeedURL, c.FailMode = c.Issuer+"/nowhere", jeton.Closed })
	ctx := with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read")))
	if _, got := unary(ctx, closed, "Get"); got != "Unavailable[view_stale]" {
		t.Error(got)
	}
	if _, got := open(t, ctx, closed, "Chat")(); got != "Unavailable[view_stale]" {
		t.Error(got)
	}
}

func TestNew_Problems(t *testing.T) {
	_, err := jetongrpc.New(jetongrpc.Config{
		Methods: map[string][]jeton.Demand{"Get": nil, "/test.Who/Health": nil},
		Public:  []string{"/test.Who/Health", "test.Who/Get"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Guard is nil", `Methods: "Get"`, `Public: "test.Who/Get"`, `"/test.Who/Health" is public`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
