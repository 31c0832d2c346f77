package jetongrpc

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/jetonhq/jeton"
)

// Stream is a grpc.StreamServerInterceptor.
func (g *Guarded) Stream(server any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if g.public[info.FullMethod] {
		return handler(server, ss)
	}
	ctx := ss.Context()
	c, err := g.admit(ctx, info.FullMethod, true)
	if err != nil {
		ss.SetTrailer(g.trailer(err))
		return refused(err)
	}
	guarded := &stream{ServerStream: ss, ctx: jeton.WithToken(ctx, c.token), guard: g.guard, credential: c}
	err = handler(server, guarded)
	if refusal := guarded.ended.Load(); refusal != nil {
		// Whatever the handler made of the error that it got.
		ss.SetTrailer(g.trailer(*refusal))
		return refused(*refusal)
	}
	return err
}

// stream lets messages pass while its token is good.
type stream struct {
	grpc.ServerStream
	ctx        context.Context // of the stream, with the token
	guard      *jeton.Guard
	credential credential
	ended      atomic.Pointer[error] // why no more messages pass
}

func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg checks after the wait for a message: much may have happened meanwhile.
func (s *stream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	return s.check()
}

func (s *stream) SendMsg(message any) error {
	if err := s.check(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(message)
}

// check asks whether the token is still alive. Its age, and that of the sign-in,
// was a matter of the beginning: a stream may grow older than jeton.MaxAge and
// jeton.AuthAge, but not than the token.
func (s *stream) check() error {
	// The proof of a bound token was for the call, of which this is a part.
	_, err := s.guard.Check(s.ctx, *s.credential.text, append(slices.Clip(s.credential.demands), jeton.InsecureSkipProof())...)
	if r, ok := errors.AsType[*jeton.Refusal](err); err == nil || ok && (r.Reason == jeton.ReasonTooOld || r.Reason == jeton.ReasonSignInTooOld) {
		return nil
	}
	s.ended.Store(&err)
	return refused(err)
}
