package main

import (
	"context"
	"io"
)

func report(context.Context, io.Writer, int) error { return nil }
