// A gRPC server for the benchmark: `greeter ADDRESS GREETING`.
//
// bench.Greeter/Greet answers every call with GREETING, bench.Greeter/Count with how many calls of Greet were answered
// with status 0 so far. Messages are google.protobuf.StringValue and google.protobuf.UInt64Value.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type greeter struct {
	answer *wrapperspb.StringValue
	served atomic.Uint64
}

func (g *greeter) greet(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := decode(new(wrapperspb.StringValue)); err != nil {
		return nil, err
	}
	g.served.Add(1)
	return g.answer, nil
}

func (g *greeter) count(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := decode(new(wrapperspb.StringValue)); err != nil {
		return nil, err
	}
	return wrapperspb.UInt64(g.served.Load()), nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: greeter ADDRESS GREETING")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	made := &greeter{answer: wrapperspb.String(os.Args[2])}
	server := grpc.NewServer(grpc.NumStreamWorkers(1), grpc.SharedWriteBuffer(true))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Greeter",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Greet", Handler: made.greet},
			{MethodName: "Count", Handler: made.count},
		},
	}, made)
	log.Fatal(server.Serve(listener))
}
