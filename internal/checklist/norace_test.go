//go:build !race

package checklist

const raced = false
