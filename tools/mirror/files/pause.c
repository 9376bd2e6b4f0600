/* The first process of a pod: it reaps orphaned processes and ends on a signal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void reap(int signal_number) {
  (void)signal_number;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(int argc, char **argv) {
  /* "kubeadm upgrade" runs this image with -v as a health check. */
  if (argc > 1 && strcmp(argv[1], "-v") == 0) {
    puts("pause.c");
    return 0;
  }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  signal(SIGCHLD, reap);
  for (;;)
    pause();
}
