// Package hop is what two groups of tasks share that are joined by a stream: the form
// of the records between them, called frames, and the ledger by which the reader
// takes each row once.
//
// # The protocol
//
// A sender commits first and sends then. The frames of a commit are part of the
// list that the commit's row holds, so whoever owns the lane next sends the very same
// ones; the next commit waits until all of them are acknowledged. Frames for one
// bucket are sent one after another. So at any moment the stream holds, of one lane
// and bucket, the frames of all commits but the last in order, those of the last up to
// some frame, and repeats of any of them: the reader takes a frame if its mark, the
// number of the commit and the frame's index in it, is beyond the last one that it
// took. Nothing needs to be decided alike by two attempts.
//
// A bucket is a fixed part of the hash space, whose number is the same for the life of
// a stream. All frames of a bucket are put at its first place, so they lie in one
// shard, and after a reshard in one of its children, in order. What the reader keeps
// of a bucket has that place as its home, and goes where the frames go.
//
// # Watermarks
//
// Every commit in which the watermark has risen sends a frame to every bucket, if need
// be without rows. The watermark of a commit counts behind its last frame. A reader's
// watermark is the least of all lanes that send to it, over all of its buckets. Which
// lanes there are it learns from frames that list them, and from the last frame of a
// lane, which names those that go on where it ends: they take its place in one step.
package hop
