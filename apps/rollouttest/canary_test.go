package rollouttest

import (
	"slices"
	"testing"
)

// prod releases by canary: the load balancer sends a growing share of the requests to the new version.
func canary(t *testing.T, p programs) {
	c := newCluster(t, p, "prod")
	c.run("the first release has no steps", func() { c.isReleased(first) })
	c.run("a good version takes all steps", func() {
		c.release(second)
		c.until("the version has its first share", func() bool { return c.balancer.has(second) })
		c.mayNotBePromoted("api is Synced and Progressing", "api is Synced and Suspended")
		c.isReleased(second)
		c.smoked(1)
		c.mayBePromoted()
		// All requests go to the canary only until it is the stable version, which may be between two looks of the kubelet.
		shares, _ := c.balancer.record()
		shares = slices.DeleteFunc(shares, func(share int) bool { return share == 100 })
		if !slices.Equal(shares, []int{0, 10, 30, 60, 0}) {
			c.t.Errorf("the shares of the canary were %v, apart from 100", shares)
		}
	})
	c.run("a version that fails for users is aborted", func() {
		c.release(failing)
		c.isAborted(second, byRate)
		c.mayNotBePromoted("api is Synced and Degraded")
		c.hadShare(10)
	})
	c.run("a revert of an aborted release has no steps", func() {
		c.rollback()
		c.isReleased(second)
		c.smoked(0)
		c.mayBePromoted()
		c.hadShare(0)
	})
	c.run("a slow version is aborted", func() {
		c.release(slow)
		c.isAborted(second, byLatency)
		c.hadShare(10)
	})
	c.run("a version that answers no request is aborted by the smoke test", func() {
		c.rollback()
		c.isReleased(second)
		c.release(broken)
		c.isAborted(second, bySmoke)
		c.smoked(2) // it is tried twice
		c.hadShare(10)
	})
	c.run("a version that does not get ready is aborted before it gets a request", func() {
		c.rollback()
		c.isReleased(second)
		c.release(unready)
		c.isAborted(second, byDeadline)
		c.smoked(0)
		c.hadShare(0)
	})
	c.run("a revert of a released version takes the steps", func() {
		c.rollback()
		c.isReleased(second)
		c.rollback()
		if c.digest() != first {
			c.t.Fatalf("a second rollback goes to %s", c.digest())
		}
		c.until("the version before gets its first share", func() bool {
			shares, _ := c.balancer.record()
			return slices.Contains(shares, 10)
		})
	})
	c.run("a promotion in full skips them", func() {
		c.plugs("promote", "api", "--full")
		c.isReleased(first)
	})
}

// Without requests the release waits for a person.
func quiet(t *testing.T, p programs) {
	c := newCluster(t, p, "prod")
	c.isReleased(first)
	held := func(digest string) {
		c.balancer.silence(true)
		c.release(digest)
		c.isHeld(first)
		c.balancer.silence(false)
	}
	c.run("a bad version is held until a person aborts it", func() {
		held(failing)
		c.plugs("abort", "api")
		c.isAborted(first, byPerson)
		c.rollback()
		c.isReleased(first)
	})
	c.run("a good version is held until a person promotes it", func() {
		held(second)
		c.plugs("promote", "api")
		c.isReleased(second)
	})
}

// Prometheus restarts during a release, and does not come back.
func blind(t *testing.T, p programs) {
	c := newCluster(t, p, "prod")
	c.isReleased(first)
	c.run("a restart of Prometheus does not end a good release", func() {
		c.release(second)
		c.errors(1)
		c.prometheus.resume(c)
		c.isReleased(second)
	})
	c.run("a version that cannot be seen is aborted", func() {
		c.release(third)
		c.errors(1)
		c.isAborted(second, byErrors)
		c.prometheus.resume(c)
		c.rollback()
		c.isReleased(second)
	})
	c.run("a version without metrics is aborted", func() {
		c.release(mute)
		c.isAborted(second, byErrors)
	})
}

// staging releases by blue-green: all requests go to the new version at once.
func blueGreen(t *testing.T, p programs) {
	c := newCluster(t, p, "staging")
	c.run("the first release", func() { c.isReleased(first) })
	c.run("a good version takes all requests after the smoke test", func() {
		c.release(second)
		c.isReleased(second)
		c.smoked(1)
	})
	c.run("a revert within ten minutes is made at once", func() {
		c.rollback()
		c.isReleased(first)
		c.release(second)
		c.isReleased(second)
	})
	c.run("a version that answers no request gets none", func() {
		c.release(broken)
		c.isAborted(second, bySmoke)
		c.never(broken)
	})
	c.run("a version that does not get ready gets no request", func() {
		c.rollback()
		c.isReleased(second)
		c.release(unready)
		c.isAborted(second, byDeadline)
		c.smoked(0)
		c.never(unready)
	})
	c.run("a version that fails for users gives the requests back", func() {
		c.rollback()
		c.isReleased(second)
		c.release(failing)
		c.isAborted(second, byRate)
	})
	c.run("so does a slow one", func() {
		c.rollback()
		c.isReleased(second)
		c.release(slow)
		c.isAborted(second, byLatency)
	})
	c.run("a bad version is judged again when its pods are gone", func() {
		c.rollback()
		c.isReleased(second)
		c.until("the pods of the bad version are gone", func() bool { return !c.network.runs(failing) })
		c.release(failing)
		c.isAborted(second, byRate)
		c.smoked(1)
	})
}
