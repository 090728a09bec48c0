/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The command line: the same options in every example, as far as they mean something there. A part of common.h.
 */
#ifndef MARGAY_EXAMPLES_OPTIONS_H
#define MARGAY_EXAMPLES_OPTIONS_H

static inline void wrong(const char *option, const char *value, const char *reason)
{
    fprintf(stderr, "%s: %s: '%s' is %s; try --help\n", program, option, value, reason);
    exit(2);
}

static inline long number(const char *option, const char *text, long least, long most)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most) {
        char reason[64];
        snprintf(reason, sizeof reason, "not a number from %ld to %ld", least, most);
        wrong(option, text, reason);
    }
    return value;
}

/* Reads 127.0.0.1:7000 or [::1]:7000. */
static inline struct place address(const char *option, const char *text)
{
    struct place place = {.length = 0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char host[INET6_ADDRSTRLEN + 2] = "";
    const char *colon = strrchr(text, ':');
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    if (length == 0 || length >= sizeof host) {
        wrong(option, text, "not an address with a port, such as 127.0.0.1:7000 or [::1]:7000");
    }
    memcpy(host, text, length);
    in_port_t port = htons((uint16_t)number(option, colon + 1, 0, 65535));
    v4.sin_port = port;
    v6.sin6_port = port;
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&place.address, &v4, sizeof v4);
        place.length = sizeof v4;
        return place;
    }
    bool brackets = host[0] == '[' && host[length - 1] == ']';
    host[length - 1] = '\0';
    if (!brackets || inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1) {
        wrong(option, text, "not an address with a port, such as 127.0.0.1:7000 or [::1]:7000");
    }
    memcpy(&place.address, &v6, sizeof v6);
    place.length = sizeof v6;
    return place;
}

static inline void help_line(const char *option, const char *means, const char *unit, long value)
{
    printf("  %-22s%s", option, means);
    if (unit != NULL) {
        printf(" (default %ld%s)", value, unit);
    }
    printf("\n");
}

static inline void help(const struct about *about)
{
    bool pipe = (about->takes & PIPE) != 0;
    printf("%s\n\n", about->shows);
    if (about->takes & SERVER) {
        help_line(pipe ? "--server NAME" : "--server ADDR:PORT",
                  pipe ? "create the pipe NAME and serve one client" : "serve there", NULL, 0);
    }
    if (about->takes & CLIENT) {
        help_line(pipe ? "--client NAME" : "--client ADDR:PORT",
                  pipe ? "open the pipe NAME, as soon as there is a server" : "go there, as soon as there is a server",
                  NULL, 0);
    }
    if (about->takes & RELAY) {
        help_line("--listen ADDR:PORT", "pop datagrams there", NULL, 0);
        help_line("--to ADDR:PORT", "push them there, and the answers back", NULL, 0);
    }
    if (about->takes & COUNT) {
        help_line("--count N", about->counts, "", about->count);
    }
    if (about->takes & SIZE) {
        help_line("--size BYTES", "length of a message", "", about->size);
    }
    if (about->takes & CLIENTS) {
        help_line("--clients N", about->clients, "", about->many);
    }
    if (about->takes & RATE) {
        help_line("--rate N", "messages a second; 0: as fast as it goes", "", about->rate);
    }
    if (about->takes & SEED) {
        help_line("--seed N", "of the random numbers; 0: another one each time", "", 0);
    }
    if (about->takes & RUN_MODE) {
        help_line("--run-mode MODE", "sequential: one connection after the other; concurrent: all at once, the default", NULL, 0);
    }
    help_line("--timeout SECONDS", "give up after so long", "", 30);
    printf("\nTo try it, in two terminals of one user:\n");
    for (size_t i = 0; i < sizeof about->tries / sizeof *about->tries && about->tries[i] != NULL; i++) {
        printf("  ./%s\n", about->tries[i]);
    }
    printf("\nStart both sides with the same numbers. CONFIG_PATH may name a configuration file, LIBOS a back end.\n");
}

/* The deadline: ends the program from inside whatever it waits for. */
static inline void give_up(int signal)
{
    static const char REASON[] = ": not done in time: see whether the other side runs, as the same user and with the same "
                                 "numbers, or allow more by --timeout\n";
    (void)signal;
    ssize_t written = write(STDERR_FILENO, program, strlen(program));
    written += write(STDERR_FILENO, REASON, sizeof REASON - 1);
    _exit(written > 0 ? EXIT_FAILURE : 3);
}

/* Reads the command line, sets the deadline, and makes this thread's LibOs. */
static inline struct options start(int argc, char *argv[], const struct about *about)
{
    enum { HELP = 1024, TIMEOUT = 2048, TO = 4096 };
    static const struct option ALL[] = {
        {"server", required_argument, NULL, SERVER},   {"client", required_argument, NULL, CLIENT},
        {"listen", required_argument, NULL, RELAY},    {"to", required_argument, NULL, TO},
        {"count", required_argument, NULL, COUNT},     {"size", required_argument, NULL, SIZE},
        {"clients", required_argument, NULL, CLIENTS}, {"rate", required_argument, NULL, RATE},
        {"seed", required_argument, NULL, SEED},       {"run-mode", required_argument, NULL, RUN_MODE},
        {"timeout", required_argument, NULL, TIMEOUT}, {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.count = about->count, .size = about->size, .clients = about->many, .rate = about->rate,
                              .concurrent = true, .timeout = 30};
    const char *place = NULL;
    const char *to = NULL;
    program = about->name;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int c; (c = getopt_long(argc, argv, "h", ALL, NULL)) != -1;) {
        unsigned needs = c == TO ? RELAY : (unsigned)c;
        if (c != '?' && c != 'h' && c < HELP && (about->takes & needs) == 0) {
            fprintf(stderr, "%s: it has no such option; try --help\n", program);
            exit(2);
        }
        switch (c) {
        case SERVER:
        case CLIENT:
        case RELAY:
            options.server = c != CLIENT;
            place = optarg;
            break;
        case TO:
            to = optarg;
            break;
        case COUNT:
            options.count = number("--count", optarg, 1, 1000000000);
            break;
        case SIZE:
            options.size = number("--size", optarg, 1, 1 << 26);
            break;
        case CLIENTS:
            options.clients = number("--clients", optarg, 1, CLIENTS_MAX);
            break;
        case RATE:
            options.rate = number("--rate", optarg, 0, 1000000000);
            break;
        case SEED:
            options.seed = (uint64_t)number("--seed", optarg, 0, INT64_MAX);
            break;
        case RUN_MODE:
            options.concurrent = strcmp(optarg, "concurrent") == 0;
            if (!options.concurrent && strcmp(optarg, "sequential") != 0) {
                wrong("--run-mode", optarg, "neither sequential nor concurrent");
            }
            break;
        case TIMEOUT:
            options.timeout = number("--timeout", optarg, 1, 86400);
            break;
        case 'h':
        case HELP:
            help(about);
            exit(EXIT_SUCCESS);
        default:
            fprintf(stderr, "%s: try --help\n", program);
            exit(2);
        }
    }
    if (place == NULL || ((about->takes & RELAY) != 0 && to == NULL) || optind != argc) {
        fprintf(stderr, "%s: say where, by the options that --help names\n", program);
        exit(2);
    }
    if (about->takes & PIPE) {
        options.name = place;
    } else {
        options.place = address("the address", place);
    }
    if (to != NULL) {
        options.to = address("--to", to);
    }

    struct sigaction action = {.sa_handler = give_up};
    sigaction(SIGALRM, &action, NULL);
    alarm((unsigned)options.timeout);
    struct demi_args args = {.argc = argc, .argv = argv, .callback = NULL};
    must(demi_init(&args), "demi_init: see what LIBOS and CONFIG_PATH say");
    return options;
}

#endif
