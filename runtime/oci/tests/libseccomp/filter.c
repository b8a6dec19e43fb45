/* libseccomp as runc calls it: actions, architectures and rules in words, one a line; out comes the filter.
 *
 *   default ACTION | arch NAME | rule ACTION SYSCALL [INDEX OPERATOR A B]...
 *
 * A name that it does not know is said on standard error. It ends with 3 if it refuses a rule. */

#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	static char line[4096], name[64];
	scmp_filter_ctx filter = NULL;
	unsigned rules = 0;
	uint32_t action;

	while (fgets(line, sizeof line, stdin)) {
		struct scmp_arg_cmp args[6];
		unsigned count = 0, index, operator;
		int used = 0, more, call;

		if (sscanf(line, "default %" SCNu32, &action) == 1) {
			filter = seccomp_init(action);
			continue;
		}
		if (sscanf(line, "arch %63s", name) == 1) {
			if (seccomp_arch_add(filter, seccomp_arch_resolve_name(name)) < 0)
				return 1;
			continue;
		}
		if (sscanf(line, "rule %" SCNu32 " %63s%n", &action, name, &used) != 2)
			return 2;
		while (count < 6 && sscanf(line + used, " %u %u %" SCNu64 " %" SCNu64 "%n", &index, &operator,
					   &args[count].datum_a, &args[count].datum_b, &more) == 4) {
			args[count].arg = index;
			args[count].op = operator;
			count++;
			used += more;
		}
		call = seccomp_syscall_resolve_name(name);
		if (call == __NR_SCMP_ERROR)
			fprintf(stderr, "%s\n", name);
		else if (seccomp_rule_add_array(filter, action, call, count, args) < 0)
			return 3;
		else if (++rules == 33)
			seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	}
	return seccomp_export_bpf(filter, STDOUT_FILENO) < 0;
}
