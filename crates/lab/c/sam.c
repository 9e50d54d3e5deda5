/* Self-watched processes: libsam. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

static int checks;

static int healthy(void)
{
	return checks++ < 3 ? 0 : 1;
}

static void own_keys(void)
{
	cmap_handle_t h;
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	cmap_value_types_t type;
	if (cmap_initialize(&h) != CS_OK)
		return;
	cmap_iter_init(h, "resources.process.", &it);
	while (cmap_iter_next(h, it, key, NULL, &type) == CS_OK) {
		char *text = NULL;
		if (type == CMAP_VALUETYPE_STRING)
			cmap_get_string(h, key, &text);
		printf("  %s %d %s\n", strrchr(key, '.'), type, text ? text : "");
		free(text);
	}
	cmap_finalize(h);
}

static void wrong_order(void)
{
	size_t size;
	CALL(sam_start());
	CALL(sam_stop());
	CALL(sam_hc_send());
	CALL(sam_finalize());
	CALL(sam_register(NULL));
	CALL(sam_data_getsize(&size));
	CALL(sam_hc_callback_register(healthy));
	CALL(sam_warn_signal_set(SIGTERM));
	CALL(sam_mark_failed());
	CALL(sam_initialize(1000, 99));
	CALL(sam_initialize(1000, SAM_RECOVERY_POLICY_QUIT));
	CALL(sam_initialize(1000, SAM_RECOVERY_POLICY_QUIT));
	CALL(sam_finalize());
}

static void restarts(int policy)
{
	unsigned instance = 0;
	char data[16] = "";
	size_t size = 0;
	CALL(sam_initialize(500, policy));
	CALL(sam_data_store("kept data", 10));
	CALL(sam_register(&instance));
	printf("instance %u\n", instance);
	CALL(sam_data_getsize(&size));
	CALL(sam_data_restore(data, sizeof(data)));
	printf("%zu: %s\n", size, data);
	own_keys();
	CALL(sam_start());
	CALL(sam_hc_send());
	own_keys();
	if (instance == 1) {
		CALL(sam_data_store("second life", 12));
		/* Where this works it may not live to say so. */
		cs_error_t refused = sam_mark_failed();
		if (refused != CS_OK)
			printf("sam_mark_failed(): %s\n", cs_strerror(refused));
		sleep(5);
	} else if (instance == 2) {
		/* No sign of life: it is ended. */
		CALL(sam_data_store("third life", 11));
		sleep(5);
	} else {
		CALL(sam_stop());
		own_keys();
		CALL(sam_finalize());
	}
	fflush(stdout);
	_exit(0);
}

static void quits(void)
{
	unsigned instance = 0;
	CALL(sam_initialize(300, SAM_RECOVERY_POLICY_QUIT));
	CALL(sam_register(&instance));
	CALL(sam_hc_callback_register(healthy));
	CALL(sam_warn_signal_set(SIGUSR1));
	CALL(sam_start());
	CALL(sam_hc_callback_register(healthy));
	sleep(5);
	_exit(0);
}

static void run(const char *name, void (*life)(int), int policy)
{
	int status = 0;
	printf("--- %s\n", name);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		life(policy);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("ended by signal %d\n", WTERMSIG(status));
	else
		printf("ended with %d\n", WEXITSTATUS(status));
}

static void wrong_order_(int policy) { (void)policy; wrong_order(); }
static void quits_(int policy) { (void)policy; quits(); }

void do_sam(void)
{
	run("wrong order", wrong_order_, 0);
	run("restart", restarts, SAM_RECOVERY_POLICY_RESTART);
	run("restart, with cmap", restarts, SAM_RECOVERY_POLICY_RESTART | SAM_RECOVERY_POLICY_CMAP);
	run("restart, with quorum", restarts, SAM_RECOVERY_POLICY_QUORUM_RESTART);
	run("quit", quits_, 0);
}
