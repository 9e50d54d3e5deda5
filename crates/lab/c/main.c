/* Chooses the parts, and what they share. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

static struct { uint32_t pid; const char *name; } known[16];
static int known_count;

/* The text of a call without the spaces and `&` of its arguments. */
const char *plain(const char *call)
{
	static char text[512];
	size_t n = 0;
	for (; *call && n < sizeof(text) - 1; call++)
		if (*call != '&' && *call != '\n' && *call != '\t')
			text[n++] = *call;
	text[n] = 0;
	return text;
}

void know(uint32_t pid, const char *name)
{
	if (known_count < 16) {
		known[known_count].pid = pid;
		known[known_count++].name = name;
	}
}

/* A process, by the name it was given. */
const char *who(uint32_t pid)
{
	for (int i = 0; i < known_count; i++)
		if (known[i].pid == pid)
			return known[i].name;
	return pid ? "other" : "0";
}

int ready(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, ms) > 0;
}

uint32_t sum_of(const void *bytes, size_t length)
{
	uint32_t sum = 2166136261u;
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ ((const uint8_t *)bytes)[i]) * 16777619u;
	return sum;
}

double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Whether two nodes are members and quorate. */
static int formed(void)
{
	cmap_handle_t h;
	votequorum_handle_t v;
	struct votequorum_info i;
	char *status = NULL;
	int result = 1;
	if (cmap_initialize(&h) != CS_OK)
		return 1;
	if (cmap_get_string(h, "runtime.members.1.status", &status) == CS_OK && !strcmp(status, "joined") &&
	    cmap_get_string(h, "runtime.members.2.status", &status) == CS_OK && !strcmp(status, "joined") &&
	    votequorum_initialize(&v, NULL) == CS_OK) {
		if (votequorum_getinfo(v, 2, &i) == CS_OK && i.node_state == 1 && i.total_votes == 2 &&
		    i.flags & VOTEQUORUM_INFO_QUORATE)
			result = 0;
		votequorum_finalize(v);
	}
	cmap_finalize(h);
	return result;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } parts[] = {
		{"cpg", do_cpg}, {"cpg-more", do_cpg_more}, {"echo", do_echo},
		{"cmap", do_cmap}, {"stats", do_stats}, {"keys", do_keys},
		{"access", do_access}, {"cfg", do_cfg}, {"quorum", do_quorum},
		{"votequorum", do_votequorum}, {"live", do_live}, {"qdevice", do_qdevice}, {"sam", do_sam},
		{"watch", do_watch}, {"flood", do_flood}, {"stalled", do_stalled},
		{"selfish", do_selfish},
		{"shutdown", do_shutdown},
	};
	setvbuf(stdout, NULL, _IOLBF, 0);
	know(getpid(), "me");
	if (argc == 2 && !strcmp(argv[1], "formed"))
		return formed();
	for (int i = 1; i < argc; i++) {
		size_t p = 0;
		while (p < sizeof(parts) / sizeof(*parts) && strcmp(parts[p].name, argv[i]))
			p++;
		if (p == sizeof(parts) / sizeof(*parts)) {
			fprintf(stderr, "clients: no part `%s`\n", argv[i]);
			return 2;
		}
		printf("=== %s\n", argv[i]);
		parts[p].run();
	}
	return argc < 2 ? 2 : 0;
}
