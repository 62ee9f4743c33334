/* Runs a command and writes what it cost to a file: measure REPORT COMMAND...
   A process's peak memory counts from before its exec, so a large parent would lend a small tool its own size. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
    struct rusage used;
    int status;
    if (count < 3) return 2;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(arguments[2], arguments + 2);
        perror(arguments[2]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0) return 2;
    FILE *report = fopen(arguments[1], "w");
    if (!report) return 2;
    fprintf(report, "{\"cpu_seconds\": %.6f, \"peak_rss_mib\": %.3f}\n",
            (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
            (double)used.ru_maxrss / 1024);
    fclose(report);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
