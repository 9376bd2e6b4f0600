//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
)

// redisConnection connects as a program outside of the cluster would, through a port of the nodes.
func redisConnection(t *testing.T, c *cluster, password string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: c.outside(t, "app.kubernetes.io/name", "valkey", 6379), Password: password, MaxRetries: -1,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func redisLogin(t *testing.T, c *cluster, password string) error {
	return redisConnection(t, c, password).Ping(t.Context()).Err()
}

func redisRefused(err error) bool { return strings.HasPrefix(err.Error(), "WRONGPASS") }

// redisClient expects what was written to be there in the next pod.
func redisClient(t *testing.T, _ *stack, c *cluster) {
	client := redisConnection(t, c, c.secret(t, "valkey-users", "default"))
	// The port of the nodes opens a moment after its Service is made.
	eventually(t, time.Minute, "Redis takes a value", func() error {
		return client.Set(t.Context(), "order", "survives", 0).Err()
	})
	mustRefuse(t, c, "redis", "wrong")
	c.must(t, "--namespace", "data", "delete", "pod", "--selector", "app.kubernetes.io/name=valkey")
	took := eventually(t, 3*time.Minute, "Redis has the value", func() error {
		got, err := client.Get(t.Context(), "order").Result()
		if err == nil && got != "survives" {
			err = fmt.Errorf("read %q", got)
		}
		return err
	})
	t.Logf("FIGURE Redis: answers %.1f s after its pod was deleted", took.Seconds())
}

func postgreSQLConnection(t *testing.T, c *cluster, password string) (*pgx.Conn, error) {
	t.Helper()
	url := fmt.Sprintf("postgres://%s:%s@%s/app?sslmode=require", c.secret(t, "postgresql-app", "username"), password,
		c.outside(t, "cnpg.io/cluster", "postgresql", 5432))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	connection, err := pgx.Connect(ctx, url)
	if err == nil {
		t.Cleanup(func() { _ = connection.Close(context.Background()) })
	}
	return connection, err
}

func postgreSQLLogin(t *testing.T, c *cluster, password string) error {
	_, err := postgreSQLConnection(t, c, password)
	return err
}

func postgreSQLRefused(err error) bool {
	refused := (*pgconn.PgError)(nil)
	return errors.As(err, &refused) && refused.Code == "28P01"
}

// postgreSQLClient expects a row to be there after the server's pod was killed.
func postgreSQLClient(t *testing.T, _ *stack, c *cluster) {
	password := c.secret(t, "postgresql-app", "password")
	var connection *pgx.Conn
	eventually(t, time.Minute, "a connection to PostgreSQL", func() (err error) {
		connection, err = postgreSQLConnection(t, c, password)
		return err
	})
	for _, statement := range []string{"CREATE TABLE orders (name text)", "INSERT INTO orders VALUES ('survives')"} {
		if _, err := connection.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	mustRefuse(t, c, "postgresql", "wrong")
	c.must(t, "--namespace", "data", "delete", "pod", "--selector", "cnpg.io/cluster=postgresql",
		"--grace-period", "0", "--force", "--wait=false")
	took := eventually(t, 5*time.Minute, "PostgreSQL has the row", func() error {
		connection, err := postgreSQLConnection(t, c, password)
		if err != nil {
			return err
		}
		var got string
		return connection.QueryRow(t.Context(), "SELECT name FROM orders WHERE name = 'survives'").Scan(&got)
	})
	t.Logf("FIGURE PostgreSQL: answers %.1f s after its pod was killed", took.Seconds())
}
