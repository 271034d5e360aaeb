#include "core/mail/bounce.h"

#include "tests/unit/harness.h"

/* In the manner of large providers and common servers; the wording is ours. */
static const struct {
    const char *why, *status;
    enum bounce want;
} rows[] = {
    /* one provider after another says that nobody lives there */
    {"550 5.1.1 The account you wrote to is not one of ours, check for typos", "5.1.1",
     BOUNCE_bad_address},
    {"550 5.4.1 Recipient address rejected: Access denied", "5.4.1", BOUNCE_bad_address},
    {"554 delivery error: dd This user doesn't have a mail.example account", "5.0.0",
     BOUNCE_bad_address},
    {"550 Requested action not taken: mailbox unavailable", "5.0.0", BOUNCE_bad_address},
    {"550 : User unknown", "5.0.0", BOUNCE_bad_address},
    {"550 Unknown user x@mobile.example", "5.0.0", BOUNCE_bad_address},
    {"550 <x@a.example>: Recipient address rejected: User unknown in virtual mailbox table",
     "5.1.1", BOUNCE_bad_address},
    {"553 5.1.3 Syntax of the address", "5.1.3", BOUNCE_bad_address},
    {"550 No such user here", "5.0.0", BOUNCE_bad_address},
    {"450 4.1.1 unverified for now", "4.1.1", BOUNCE_bad_address},

    {"550 5.2.1 The account is not in use", "5.2.1", BOUNCE_inactive},
    {"554 5.7.1 This mailbox has been DISABLED", "5.7.1", BOUNCE_inactive},
    {"450 4.2.1 The one you wrote to gets mail too quickly", "4.2.1", BOUNCE_inactive},
    {"450 4.2.1 The user you are trying to contact is receiving mail too quickly", "4.2.1",
     BOUNCE_rate},

    {"552 5.2.2 The recipient's inbox has no room", "5.2.2", BOUNCE_full},
    {"452 4.2.2 The recipient's inbox is out of storage space", "4.2.2", BOUNCE_full},
    {"552 Mailbox over quota", "5.0.0", BOUNCE_full},
    {"451 x@b.example: mailbox full", "4.0.0", BOUNCE_full},

    {"552 5.3.4 Your mail exceeded what we take", "5.3.4", BOUNCE_too_big},
    {"552 Message size exceeds fixed size limit", "5.0.0", BOUNCE_too_big},
    {"the mail is larger than is taken by mx.example", "5.3.4", BOUNCE_too_big},

    {"452 4.5.3 Too many", "4.5.3", BOUNCE_too_many},
    {"452 Too many recipients received this hour", "4.0.0", BOUNCE_too_many},
    {"552 5.5.3 too many recipients", "5.5.3", BOUNCE_too_many},

    {"550 5.7.1 Messages from [192.0.2.1] weren't sent: part of their network is on our block list",
     "5.7.1", BOUNCE_blocklist},
    {"554 5.7.1 Service unavailable; client blocked using zen.spamhaus.org", "5.7.1",
     BOUNCE_blocklist},
    {"421 4.7.0 found on one or more DNSBLs", "4.7.0", BOUNCE_blocklist},

    {"550 5.7.1 Our system found that this is likely unsolicited mail", "5.7.1", BOUNCE_spam},
    {"554 5.7.1 Message scored high on SPAM", "5.7.1", BOUNCE_spam},
    {"550 5.7.0 low reputation of the sending domain", "5.7.0", BOUNCE_spam},
    {"552 5.7.0 blocked because its content presents a potential security issue", "5.7.0",
     BOUNCE_virus},
    {"550 Virus found", "5.0.0", BOUNCE_virus},

    {"550 5.7.26 This mail has been blocked because the sender is unauthenticated", "5.7.26",
     BOUNCE_authentication},
    {"550 5.7.23 no", "5.7.23", BOUNCE_authentication},
    {"550 5.7.509 Access denied, sending domain does not pass DMARC verification", "5.7.509",
     BOUNCE_authentication},
    {"550 5.7.1 SPF: fail", "5.7.1", BOUNCE_authentication},
    {"450 4.7.25 Client host rejected: cannot find your hostname", "4.7.25", BOUNCE_authentication},

    {"421 4.7.28 We saw an unusual rate of mail", "4.7.28", BOUNCE_rate},
    {"421 4.7.0 [TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints",
     "4.7.0", BOUNCE_rate},
    {"451 4.7.500 Server busy, you are throttled", "4.7.500", BOUNCE_rate},
    {"421 Too many connections from your host", "4.0.0", BOUNCE_rate},

    {"450 4.2.0 <x@c.example>: Recipient address rejected: Greylisted", "4.2.0", BOUNCE_greylist},
    {"451 4.7.1 Greylisting in action, please come back later", "4.7.1", BOUNCE_greylist},

    {"554 5.7.1 <x@d.example>: Relay access denied", "5.7.1", BOUNCE_relay},
    {"550 5.7.1 Unable to relay", "5.7.1", BOUNCE_relay},
    {"553 5.1.8 Domain of sender does not resolve", "5.1.8", BOUNCE_sender},
    {"550 5.7.1 Sender address rejected: not ours", "5.7.1", BOUNCE_sender},
    {"530 5.7.0 Must issue a STARTTLS command first", "5.7.0", BOUNCE_tls},
    {"the mail must go inside TLS, which is not to be had at mx.example", "4.7.10", BOUNCE_tls},
    {"550 5.7.1 Refused by local rule", "5.7.1", BOUNCE_policy},
    {"addresses or header are UTF-8, and there is no SMTPUTF8 at mx.example", "5.6.7",
     BOUNCE_conversion},
    {"the mail has 8-bit bytes, and there is no 8BITMIME at mx.example", "5.6.3",
     BOUNCE_conversion},
    {"554 5.4.6 Too many hops", "5.4.6", BOUNCE_loop},
    {"554 too many hops, this mail is looping", "5.0.0", BOUNCE_loop},

    {"the domain does not exist", "5.1.2", BOUNCE_bad_domain},
    {"the domain takes no mail", "5.1.10", BOUNCE_bad_domain},
    {"the DNS did not answer", "4.4.3", BOUNCE_dns},
    {"the DNS does not answer for the domain", "4.4.1", BOUNCE_dns},
    {"no mail exchanger has an address", "4.4.1", BOUNCE_dns},
    {"connection failed: ECONNREFUSED", "4.4.1", BOUNCE_connection},
    {"no reply to MAIL or RCPT in time", "4.4.2", BOUNCE_connection},
    {"451 4.3.0 Try again later", "4.3.0", BOUNCE_system},
    {"452 Insufficient system storage", "4.0.0", BOUNCE_system},
    {"503 5.5.1 Bad sequence", "5.5.1", BOUNCE_protocol},
    {"501 Syntax", "5.0.0", BOUNCE_protocol},
    {"550 No", "5.0.0", BOUNCE_other},
    {"550", "", BOUNCE_other},
    {"", "", BOUNCE_other},
    {"450 4", "4", BOUNCE_other},
};

static void test_rows(void)
{
    bool seen[BOUNCES] = {false};
    for (size_t i = 0; i < countof(rows); i++) {
        enum bounce got = bounce_of(str_c(rows[i].why), str_c(rows[i].status));
        expect(got == rows[i].want, "\"%s\" is %s, not %s", rows[i].why, bounce_name(got),
               bounce_name(rows[i].want));
        seen[rows[i].want] = true;
    }
    for (unsigned b = 0; b < BOUNCES; b++)
        expect(seen[b], "no reply is %s", bounce_name((enum bounce)b));
}

/* OUT-17: whatever the text is, it is only read. */
static void test_hostile(void)
{
    static char text[70000];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < sizeof text; len = len * 2 + 1)
        (void)bounce_of(str_from(text, len), str_from("5.1.1", len % 6));
    CU_ASSERT(bounce_of(STR("550 %s%n\0\xff spam"), STR("9999999")) == BOUNCE_spam);
    for (unsigned b = 0; b < BOUNCES; b++)
        CU_ASSERT(bounce_name((enum bounce)b)[0] && bounce_help((enum bounce)b)[0]);
}

int main(void)
{
    const struct test tests[] = {{"replies of the world", test_rows},
                                 {"OUT-17 hostile texts", test_hostile},
                                 {0}};
    return harness_run("bounce", tests);
}
