/*
 * What the parts of the client program share.
 *
 * The program calls every function of Corosync's client libraries and prints what came back, so
 * that two engines can be compared by comparing text. Whatever differs between two runs of one
 * engine (process ids, ring numbers, times) is printed as a word instead.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <corosync/cfg.h>
#include <corosync/cmap.h>
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <corosync/sam.h>
#include <corosync/votequorum.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Prints a call and its result, repeating it while the engine says TRY_AGAIN. */
#define CALL(...)                                                                                  \
	({                                                                                         \
		cs_error_t result_;                                                                \
		int tries_ = 0;                                                                    \
		while ((result_ = (__VA_ARGS__)) == CS_ERR_TRY_AGAIN && tries_++ < 500)            \
			usleep(10000);                                                             \
		printf("%s: %s\n", plain(#__VA_ARGS__), cs_strerror(result_));                     \
		result_;                                                                           \
	})

/* The same without patience: TRY_AGAIN is the answer. */
#define ONCE(...)                                                                                  \
	({                                                                                         \
		cs_error_t result_ = (__VA_ARGS__);                                                \
		printf("%s: %s\n", plain(#__VA_ARGS__), cs_strerror(result_));                     \
		result_;                                                                           \
	})

const char *plain(const char *call);
const char *who(uint32_t pid);
void know(uint32_t pid, const char *name);
int ready(int fd, int ms);
uint32_t sum_of(const void *bytes, size_t length);
double seconds(void);

void do_cpg(void);
void do_cpg_more(void);
void do_echo(void);
void do_cmap(void);
void do_stats(void);
void do_keys(void);
void do_access(void);
void do_cfg(void);
void do_quorum(void);
void do_votequorum(void);
void do_live(void);
void do_qdevice(void);
void do_sam(void);
void do_watch(void);
void do_flood(void);
void do_stalled(void);
void do_selfish(void);
void do_shutdown(void);

#endif
