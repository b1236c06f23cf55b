// Package queuereserve is the stock file storage, which keeps room back for what must not fail on a full disk.
//
// A persistent queue gives up an item for good, although its sender was told that it is kept, when it cannot write down
// that it has taken it out, or cannot write it anew after a kill. So nothing is added once only the reserve is left, and
// the reserve is for the rest.
package queuereserve
