/* The maps: libcmap. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

static void show(int type, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	switch (type) {
	case 0: printf("nothing"); break;
	case CMAP_VALUETYPE_INT8: printf("i8 %" PRId8, *(const int8_t *)data); break;
	case CMAP_VALUETYPE_UINT8: printf("u8 %" PRIu8, *(const uint8_t *)data); break;
	case CMAP_VALUETYPE_INT16: printf("i16 %" PRId16, *(const int16_t *)data); break;
	case CMAP_VALUETYPE_UINT16: printf("u16 %" PRIu16, *(const uint16_t *)data); break;
	case CMAP_VALUETYPE_INT32: printf("i32 %" PRId32, *(const int32_t *)data); break;
	case CMAP_VALUETYPE_UINT32: printf("u32 %" PRIu32, *(const uint32_t *)data); break;
	case CMAP_VALUETYPE_INT64: printf("i64 %" PRId64, *(const int64_t *)data); break;
	case CMAP_VALUETYPE_UINT64: printf("u64 %" PRIu64, *(const uint64_t *)data); break;
	case CMAP_VALUETYPE_FLOAT: printf("flt %f", *(const float *)data); break;
	case CMAP_VALUETYPE_DOUBLE: printf("dbl %f", *(const double *)data); break;
	case CMAP_VALUETYPE_STRING: printf("str \"%.*s\"", (int)length, (const char *)data); break;
	case CMAP_VALUETYPE_BINARY:
		printf("bin");
		for (size_t i = 0; i < length && i < 16; i++)
			printf(" %02x", bytes[i]);
		break;
	default: printf("type %d", type);
	}
	printf(" (%zu)", length);
}

static void get(cmap_handle_t h, const char *key)
{
	char bytes[20000];
	size_t length = sizeof(bytes);
	cmap_value_types_t type = 0;
	cs_error_t e = cmap_get(h, key, bytes, &length, &type);
	printf("get %s: %s ", key, cs_strerror(e));
	if (e == CS_OK)
		show(type, bytes, length);
	printf("\n");
}

static void notify(cmap_handle_t h, cmap_track_handle_t t, int32_t event, const char *key,
		   struct cmap_notify_value new, struct cmap_notify_value old, void *data)
{
	(void)h, (void)t;
	printf("  > %s: event %d %s new ", (const char *)data, event, key);
	show(new.type, new.data, new.len);
	printf(" old ");
	show(old.type, old.data, old.len);
	printf("\n");
}

static void drain(cmap_handle_t h)
{
	int fd;
	cmap_fd_get(h, &fd);
	while (ready(fd, 100))
		cmap_dispatch(h, CS_DISPATCH_ALL);
}

/* Every type: set, get by its own function, by another's, changed by one. */
static void types(cmap_handle_t h)
{
	int8_t i8 = 0; uint8_t u8 = 0; int16_t i16 = 0; uint16_t u16 = 0;
	int32_t i32 = 0; uint32_t u32 = 0; int64_t i64 = 0; uint64_t u64 = 0;
	float flt = 0; double dbl = 0; char *str = NULL;
	CALL(cmap_set_int8(h, "t.i8", -128));
	CALL(cmap_set_uint8(h, "t.u8", 255));
	CALL(cmap_set_int16(h, "t.i16", -32768));
	CALL(cmap_set_uint16(h, "t.u16", 65535));
	CALL(cmap_set_int32(h, "t.i32", INT32_MIN));
	CALL(cmap_set_uint32(h, "t.u32", UINT32_MAX));
	CALL(cmap_set_int64(h, "t.i64", INT64_MIN));
	CALL(cmap_set_uint64(h, "t.u64", UINT64_MAX));
	CALL(cmap_set_float(h, "t.flt", 1.5f));
	CALL(cmap_set_double(h, "t.dbl", -2.25));
	CALL(cmap_set_string(h, "t.str", "a text"));
	CALL(cmap_set_string(h, "t.empty", ""));
	CALL(cmap_set(h, "t.bin", "\0\1\2\377", 4, CMAP_VALUETYPE_BINARY));
	CALL(cmap_set(h, "t.nobin", "", 0, CMAP_VALUETYPE_BINARY));
	CALL(cmap_get_int8(h, "t.i8", &i8));
	CALL(cmap_get_uint8(h, "t.u8", &u8));
	CALL(cmap_get_int16(h, "t.i16", &i16));
	CALL(cmap_get_uint16(h, "t.u16", &u16));
	CALL(cmap_get_int32(h, "t.i32", &i32));
	CALL(cmap_get_uint32(h, "t.u32", &u32));
	CALL(cmap_get_int64(h, "t.i64", &i64));
	CALL(cmap_get_uint64(h, "t.u64", &u64));
	CALL(cmap_get_float(h, "t.flt", &flt));
	CALL(cmap_get_double(h, "t.dbl", &dbl));
	CALL(cmap_get_string(h, "t.str", &str));
	printf("%d %u %d %u %d %u %" PRId64 " %" PRIu64 " %f %f %s\n", i8, u8, i16, u16, i32, u32,
	       i64, u64, flt, dbl, str ? str : "none");
	free(str);
	str = NULL;
	CALL(cmap_get_uint8(h, "t.i8", &u8));
	CALL(cmap_get_uint32(h, "t.u64", &u32));
	CALL(cmap_get_string(h, "t.bin", &str));
	CALL(cmap_get_string(h, "t.none", &str));
	static const char *keys[] = {"t.i8", "t.u8", "t.i16", "t.u16", "t.i32", "t.u32", "t.i64",
				     "t.u64", "t.flt", "t.dbl", "t.str", "t.bin", "t.none"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		printf("%s down: %s\n", keys[i], cs_strerror(cmap_dec(h, keys[i])));
		get(h, keys[i]);
		printf("%s up: %s\n", keys[i], cs_strerror(cmap_inc(h, keys[i])));
		printf("%s up: %s\n", keys[i], cs_strerror(cmap_inc(h, keys[i])));
		get(h, keys[i]);
	}
}

static void limits(cmap_handle_t h)
{
	static char large[20000];
	char key[300];
	size_t length;
	cmap_value_types_t type;
	memset(large, 'x', sizeof(large));
	CALL(cmap_set(h, "l.bin", large, 16384, CMAP_VALUETYPE_BINARY));
	CALL(cmap_set(h, "l.bin2", large, 16385, CMAP_VALUETYPE_BINARY));
	CALL(cmap_set(h, "l.str", large, 16383, CMAP_VALUETYPE_STRING));
	CALL(cmap_set(h, "l.str2", large, 16384, CMAP_VALUETYPE_STRING));
	CALL(cmap_set(h, "l.short", "ab", 1, CMAP_VALUETYPE_UINT16));
	CALL(cmap_set(h, "l.long", "abcd", 4, CMAP_VALUETYPE_UINT16));
	CALL(cmap_set(h, "l.type", "abcd", 4, 13));
	CALL(cmap_set(h, "l.type", "abcd", 4, 0));
	CALL(cmap_set(h, "l.cut", "abc\0def", 7, CMAP_VALUETYPE_STRING));
	get(h, "l.cut");
	CALL(cmap_set(h, NULL, "a", 1, CMAP_VALUETYPE_STRING));
	CALL(cmap_set(h, "l.null", NULL, 1, CMAP_VALUETYPE_STRING));
	for (size_t i = 0; i < 300; i++)
		key[i] = 'k';
	static const int lengths[] = {1, 2, 3, 254, 255, 256, 299};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		key[lengths[i]] = 0;
		printf("key of %d: %s\n", lengths[i], cs_strerror(cmap_set_uint8(h, key, 1)));
		printf("deleted: %s\n", cs_strerror(cmap_delete(h, key)));
		key[lengths[i]] = 'k';
	}
	static const char *odd[] = {"a b", "a,b", "a/b", "a:b", "a-b", "a_b", "a#b", "...", "\303\244bc"};
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		printf("key %s: %s, deleted: %s\n", odd[i], cs_strerror(cmap_set_uint8(h, odd[i], 1)),
		       cs_strerror(cmap_delete(h, odd[i])));
	length = 3;
	CALL(cmap_get(h, "t.str", large, &length, &type));
	printf("length %zu\n", length);
	length = 0;
	CALL(cmap_get(h, "t.str", NULL, &length, &type));
	printf("length %zu type %d\n", length, type);
	length = 7;
	CALL(cmap_get(h, "t.str", large, &length, NULL));
	CALL(cmap_get(h, "t.str", large, NULL, NULL));
	CALL(cmap_delete(h, "l.nothing"));
	/* Another type replaces. */
	CALL(cmap_set_uint8(h, "t.str", 7));
	get(h, "t.str");
}

static void closed_keys(cmap_handle_t h)
{
	static const char *keys[] = {
		"totem.crypto_cipher", "totem.crypto_hash", "totem.crypto_model", "totem.keyfile",
		"totem.key", "totem.secauth", "totem.ip_version", "totem.rrp_mode", "totem.transport",
		"totem.cluster_name", "totem.netmtu", "totem.threads", "totem.version", "totem.nodeid",
		"totem.clear_node_high_bit", "config.reload_in_progress",
		"config.totemconfig_reload_in_progress", "runtime.services.x", "runtime.config.x",
		"runtime.totem.x", "internal_configuration.x", "uidgid.config.x", "system.x",
		"nodelist.x", "runtime.votequorum.two_node", "runtime.votequorum.x",
		"quorum.wait_for_all", "quorum.allow_downscale", "quorum.last_man_standing",
		"quorum.last_man_standing_window", "quorum.expected_votes_tracking",
		"quorum.auto_tie_breaker", "quorum.auto_tie_breaker_node", "config.reload_status",
		"runtime.members.1.x", "runtime.x", "stats.x", "resources.x", "runtime.blackbox.x",
		"totem.link_mode", "totem.xx", "runtime.connections.x", "runtime.memb.x",
	};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		printf("%s: set %s", keys[i], cs_strerror(cmap_set_uint8(h, keys[i], 0)));
		printf(", up %s", cs_strerror(cmap_inc(h, keys[i])));
		printf(", delete %s\n", cs_strerror(cmap_delete(h, keys[i])));
	}
}

static void iterate(cmap_handle_t h, const char *prefix, int show_end)
{
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	size_t length;
	cmap_value_types_t type;
	cs_error_t e;
	printf("iteration %s: %s\n", prefix ? prefix : "(all)", cs_strerror(cmap_iter_init(h, prefix, &it)));
	while ((e = cmap_iter_next(h, it, key, &length, &type)) == CS_OK)
		if (show_end)
			printf("  %s %d (%zu)\n", key, type, length);
	if (show_end)
		printf("end %s, %s, %s\n", cs_strerror(e), cs_strerror(cmap_iter_finalize(h, it)),
		       cs_strerror(cmap_iter_finalize(h, it)));
	else
		cmap_iter_finalize(h, it);
}

void do_cmap(void)
{
	cmap_handle_t h, h2;
	cmap_track_handle_t all, one, gone, bad;
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	const void *context = NULL;
	int fd = -1;

	CALL(cmap_initialize(&h));
	CALL(cmap_fd_get(h, &fd));
	printf("descriptor %s\n", fd >= 0 ? "yes" : "no");
	CALL(cmap_context_set(h, &h));
	CALL(cmap_context_get(h, &context));
	printf("context %s\n", context == &h ? "kept" : "lost");
	ONCE(cmap_dispatch(h, CS_DISPATCH_ONE_NONBLOCKING));
	ONCE(cmap_dispatch(h, CS_DISPATCH_ALL));
	types(h);
	limits(h);
	closed_keys(h);
	iterate(h, "t.", 1);
	iterate(h, "none.", 1);
	iterate(h, "t.u", 1);
	iterate(h, "", 0);

	/* An iteration while the map changes. */
	CALL(cmap_iter_init(h, "t.i", &it));
	CALL(cmap_iter_next(h, it, key, NULL, NULL));
	printf("%s\n", key);
	CALL(cmap_delete(h, "t.i16"));
	CALL(cmap_delete(h, "t.i32"));
	CALL(cmap_set_uint8(h, "t.i33", 1));
	while (cmap_iter_next(h, it, key, NULL, NULL) == CS_OK)
		printf("%s\n", key);
	CALL(cmap_iter_finalize(h, it));

	/* Tracking: events come to the one who makes the change, too. */
	CALL(cmap_initialize(&h2));
	CALL(cmap_track_add(h, "w.", CMAP_TRACK_PREFIX | CMAP_TRACK_ADD | CMAP_TRACK_MODIFY | CMAP_TRACK_DELETE, notify, "prefix", &all));
	CALL(cmap_track_add(h, "w.one", CMAP_TRACK_MODIFY, notify, "modify", &one));
	CALL(cmap_track_add(h, "w.one", CMAP_TRACK_DELETE, notify, "delete", &gone));
	CALL(cmap_track_add(h, "w.one", 16, notify, "bad", &bad));
	CALL(cmap_track_add(h, "w.one", 0, notify, "none", &bad));
	CALL(cmap_track_add(h, "w.one", CMAP_TRACK_ADD, NULL, "none", &bad));
	CALL(cmap_track_add(h, "x y", CMAP_TRACK_ADD, notify, "odd", &bad));
	CALL(cmap_track_delete(h, bad));
	CALL(cmap_track_add(h2, "w.", CMAP_TRACK_ADD, notify, "exact", &bad));
	CALL(cmap_set_uint8(h2, "w.one", 1));
	CALL(cmap_set_uint8(h2, "w.one", 1));
	CALL(cmap_set_uint8(h2, "w.one", 2));
	CALL(cmap_inc(h2, "w.one"));
	CALL(cmap_set_string(h2, "w.one", "text"));
	CALL(cmap_set_string(h, "w.two", "mine"));
	CALL(cmap_delete(h2, "w.one"));
	CALL(cmap_set(h2, "w.bin", "", 0, CMAP_VALUETYPE_BINARY));
	CALL(cmap_delete(h2, "w.bin"));
	drain(h);
	drain(h2);
	CALL(cmap_track_delete(h, one));
	CALL(cmap_track_delete(h, one));
	CALL(cmap_track_delete(h2, all));
	CALL(cmap_set_uint8(h2, "w.one", 1));
	CALL(cmap_delete(h2, "w.one"));
	CALL(cmap_delete(h2, "w.two"));
	drain(h);
	CALL(cmap_track_add(h2, NULL, CMAP_TRACK_ADD | CMAP_TRACK_PREFIX, notify, "everything", &bad));
	CALL(cmap_set_uint8(h, "w.three", 1));
	CALL(cmap_delete(h, "w.three"));
	drain(h2);
	/* Who is told first. */
	CALL(cmap_track_add(h, "o.exact", CMAP_TRACK_ADD, notify, "exact 1", &bad));
	CALL(cmap_track_add(h, "o.exact", CMAP_TRACK_ADD, notify, "exact 2", &bad));
	CALL(cmap_track_add(h, "o.", CMAP_TRACK_ADD | CMAP_TRACK_PREFIX, notify, "short 1", &bad));
	CALL(cmap_track_add(h, "o.ex", CMAP_TRACK_ADD | CMAP_TRACK_PREFIX, notify, "long", &bad));
	CALL(cmap_track_add(h, "o.", CMAP_TRACK_ADD | CMAP_TRACK_PREFIX, notify, "short 2", &bad));
	CALL(cmap_track_add(h, "o.exact", CMAP_TRACK_ADD | CMAP_TRACK_PREFIX, notify, "exact prefix", &bad));
	CALL(cmap_track_add(h, "o.exact", CMAP_TRACK_ADD, notify, "exact 3", &bad));
	CALL(cmap_set_uint8(h, "o.exact", 1));
	drain(h);
	CALL(cmap_delete(h, "o.exact"));
	CALL(cmap_finalize(h2));
	CALL(cmap_finalize(h));
	CALL(cmap_finalize(h));
	CALL(cmap_set_uint8(h, "t.i8", 1));
	CALL(cmap_initialize_map(&h, CMAP_MAP_ICMAP));
	CALL(cmap_finalize(h));
	CALL(cmap_initialize_map(&h, 7));
}

/* A key of the statistics, with what differs between two runs left out. */
static const char *common(const char *key)
{
	static char text[300];
	unsigned service, pid;
	char rest[200], pointer[40];
	if (sscanf(key, "stats.ipcs.service%u.%u.%39[^.].%199s", &service, &pid, pointer, rest) == 4) {
		snprintf(text, sizeof(text), "stats.ipcs.service%u.%s.P.%s", service, who(pid), rest);
		return text;
	}
	return key;
}

void do_stats(void)
{
	cmap_handle_t h, other;
	cmap_iter_handle_t it;
	cmap_track_handle_t t;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	cmap_value_types_t type;
	size_t length;
	CALL(cmap_initialize_map(&h, CMAP_MAP_STATS));
	CALL(cmap_iter_init(h, NULL, &it));
	while (cmap_iter_next(h, it, key, &length, &type) == CS_OK)
		/* Counters that only Quorate has. */
		if (!strstr(key, ".rx_crypt_failures") && !strstr(key, ".rx_dropped_packets") &&
		    !strstr(key, ".rx_duplicate_packets"))
			printf("  %s %d\n", common(key), type);
	CALL(cmap_iter_finalize(h, it));
	CALL(cmap_iter_init(h, "stats.ipcs.", &it));
	while (cmap_iter_next(h, it, key, &length, &type) == CS_OK)
		if (strstr(key, ".procname"))
			printf("  %s\n", common(key));
	CALL(cmap_iter_finalize(h, it));
	CALL(cmap_set_uint8(h, "stats.srp.mcast_tx", 0));
	CALL(cmap_set_uint8(h, "stats.own", 0));
	CALL(cmap_set_uint8(h, "own.key", 0));
	CALL(cmap_delete(h, "stats.srp.mcast_tx"));
	CALL(cmap_delete(h, "stats.nothing"));
	CALL(cmap_inc(h, "stats.srp.mcast_tx"));
	CALL(cmap_inc(h, "stats.nothing"));
	CALL(cmap_track_add(h, "stats.ipcs.", CMAP_TRACK_PREFIX | CMAP_TRACK_ADD, notify, "s", &t));
	CALL(cmap_track_add(h, "stats.srp.mcast_tx", CMAP_TRACK_ADD, notify, "s", &t));
	CALL(cmap_track_add(h, "stats.nothing", CMAP_TRACK_MODIFY, notify, "s", &t));
	CALL(cmap_track_add(h, "stats.ipcs.global.active", CMAP_TRACK_MODIFY, notify, "active", &t));
	int fd;
	cmap_fd_get(h, &fd);
	printf("told without a change: %s\n", ready(fd, 3500) ? "yes" : "no");
	cmap_dispatch(h, CS_DISPATCH_ALL);
	CALL(cmap_initialize(&other));
	printf("told of a change: %s\n", ready(fd, 3500) ? "yes" : "no");
	cmap_dispatch(h, CS_DISPATCH_ALL);
	CALL(cmap_finalize(other));
	CALL(cmap_track_delete(h, t));
	CALL(cmap_set_uint32(h, "stats.clear.totem", 1));
	CALL(cmap_set_uint32(h, "stats.clear.all", 1));
	CALL(cmap_set_uint32(h, "stats.clear.nothing", 1));
	uint64_t count = 99;
	CALL(cmap_get_uint64(h, "stats.srp.gather_entered", &count));
	printf("gatherings since: %" PRIu64 "\n", count);
	CALL(cmap_finalize(h));
}

/* The whole map: every name and type, values where they are the same everywhere. */
void do_keys(void)
{
	static const char *stable[] = {
		"totem.", "nodelist.", "quorum.", "logging.", "internal_configuration.", "uidgid.",
		"system.", "runtime.config.", "runtime.votequorum.", "runtime.blackbox.",
		"runtime.force_gather", "resources.watchdog", "config.",
	};
	cmap_handle_t h;
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	cmap_value_types_t type;
	size_t length;
	CALL(cmap_initialize(&h));
	CALL(cmap_iter_init(h, NULL, &it));
	while (cmap_iter_next(h, it, key, &length, &type) == CS_OK) {
		size_t i = 0, n = sizeof(stable) / sizeof(*stable);
		if (!strncmp(key, "t.", 2) || !strncmp(key, "l.", 2))
			continue;
		while (i < n && strncmp(key, stable[i], strlen(stable[i])))
			i++;
		if (i < n)
			get(h, key);
		else
			printf("  %s %d\n", key, type);
	}
	CALL(cmap_iter_finalize(h, it));
	CALL(cmap_finalize(h));
}

static int as_nobody(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		cmap_handle_t h;
		cpg_handle_t c;
		corosync_cfg_handle_t f;
		quorum_handle_t q;
		votequorum_handle_t v;
		uint32_t set;
		cpg_callbacks_t none = {NULL, NULL};
		quorum_callbacks_t nothing = {NULL};
		if (setgid(65533) || setuid(65533))
			_exit(1);
		CALL(cmap_initialize(&h));
		CALL(cpg_initialize(&c, &none));
		CALL(corosync_cfg_initialize(&f, NULL));
		CALL(quorum_initialize(&q, &nothing, &set));
		CALL(votequorum_initialize(&v, NULL));
		fflush(stdout);
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	return status;
}

/* Who is not root: only by leave. */
void do_access(void)
{
	cmap_handle_t h;
	CALL(cmap_initialize(&h));
	as_nobody();
	CALL(cmap_set_uint8(h, "uidgid.uid.65533", 1));
	as_nobody();
	CALL(cmap_set_uint8(h, "uidgid.uid.65533", 0));
	as_nobody();
	CALL(cmap_delete(h, "uidgid.uid.65533"));
	CALL(cmap_set_uint8(h, "uidgid.gid.65533", 1));
	as_nobody();
	CALL(cmap_set_uint32(h, "uidgid.gid.65533", 1));
	as_nobody();
	CALL(cmap_delete(h, "uidgid.gid.65533"));
	CALL(cmap_set_uint8(h, "uidgid.config.uid.65533", 1));
	CALL(cmap_finalize(h));
}
