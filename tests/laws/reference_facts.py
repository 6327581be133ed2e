"""What the reference says of conversations (core 4) and assistants (content 2), and the test that holds each of it.

Section, fact, test. Where the contract overrules the reference, the test's docstring says so.
"""

HISTORIES = "transports/rest/test_histories.py"
CONVERSATIONS = "transports/rest/test_conversations.py"
ASSISTANTS = "transports/rest/test_assistants.py"
SEARCH = "transports/rest/test_search.py"
SERVICE = "services/test_histories.py"
RECORDS = "reference/test_records.py"
RULES = "reference/test_history_rules.py"
FIELDS = "reference/test_assistant_fields.py"
SHARING = "transports/rest/test_transcripts.py"
ASKING = "services/test_asking.py"

THREE_STATES = "test_institution_id_is_that_twin_null_or_empty_the_personal_space_and_omitted_the_current_one"
NO_TARGET = "test_a_target_that_makes_no_sense_changes_nothing"
DELETING = "test_delete_is_for_administrators_of_their_own_and_super_of_all_but_system_ones"
SYSTEM_TEXT = "test_instructions_of_system_ones_are_withheld_but_from_super"

CORE_4: list[tuple[str, str, str, str]] = [
    ("4.1", "nothing is required", HISTORIES, "test_without_a_body_everything_is_meant"),
    ("4.1", "success and data", HISTORIES, "test_without_a_body_everything_is_meant"),
    ("4.1", "limit, 100", CONVERSATIONS, "test_limit_is_100_unless_told_and_the_newest_are_kept"),
    ("4.1", "limit, bounds", SERVICE, "test_a_limit_is_kept_in_bounds"),
    ("4.1", "institution", CONVERSATIONS, THREE_STATES),
    ("4.1", "institution, not a member", HISTORIES, "test_a_twins_dialogues_are_for_its_members"),
    (
        "4.1",
        "course_id",
        HISTORIES,
        "test_limit_course_id_search_before_and_after_filter_and_null_or_empty_ones_do_not",
    ),
    ("4.1", "course_id 0", RULES, "test_course_id_0_also_finds_what_was_asked_without_a_conversation"),
    ("4.1", "before, after", SERVICE, "test_before_and_after_are_exclusive"),
    ("4.1", "historyId", RECORDS, "test_a_record_asked_for_by_historyid_is_whole"),
    ("4.1", "search", SEARCH, "test_search_finds_words_of_input_and_output_in_any_case_and_order"),
    ("4.1", "tools", RECORDS, "test_tool_responses_are_trimmed_to_80_characters_unless_tools_is_true"),
    (
        "4.1",
        "allInstitutions",
        CONVERSATIONS,
        "test_all_institutions_adds_matched_and_total_and_makes_institution_an_object",
    ),
    ("4.1", "api", CONVERSATIONS, "test_api_is_looked_for_in_the_address_whatever_the_case_and_is_no_pattern"),
    ("4.1", "api of courses", RULES, "test_courses_can_be_filtered_by_api_whatever_the_case"),
    ("4.1", "api of favorites", CONVERSATIONS, "test_a_favourite_is_listed_trimmed_until_it_is_none_any_more"),
    ("4.1", "historyOnly", CONVERSATIONS, "test_history_only_of_older_clients_is_tolerated"),
    ("4.1", "newest by limit, oldest first", SERVICE, "test_the_newest_records_come_oldest_first"),
    (
        "4.1",
        "texts, 200 characters",
        HISTORIES,
        "test_inputs_and_outputs_are_trimmed_to_200_characters_but_of_a_record_asked_for_by_its_id",
    ),
    ("4.1", "tool responses, 80 characters", HISTORIES, "test_tools_and_sources_are_trimmed_for_lists"),
    ("4.2", "each field", RECORDS, "test_a_record_has_the_field"),
    ("4.2", "each field of a tool", RECORDS, "test_a_tool_of_a_record_has_the_field"),
    ("4.2", "success by state", HISTORIES, "test_what_counts_as_success"),
    (
        "4.2",
        "assistant null",
        CONVERSATIONS,
        "test_courses_are_sorted_by_their_last_dialogue_and_leave_course_zero_out",
    ),
    ("4.2", "thumbUpDown, its values", CONVERSATIONS, "test_thumb_up_down"),
    ("4.2", "each field for administrators", RECORDS, "test_the_administrators_record_has_the_field"),
    ("4.2", "ragDurationMs", RECORDS, "test_the_administrators_record_has_the_field_ragdurationms"),
    ("4.2", "populated", RECORDS, "test_user_and_institution_of_the_administrators_record_are_populated"),
    ("4.3", "institution", CONVERSATIONS, THREE_STATES),
    ("4.3", "each field", RECORDS, "test_a_conversation_of_the_list_has_the_field"),
    (
        "4.3",
        "order, 0 left out",
        CONVERSATIONS,
        "test_courses_are_sorted_by_their_last_dialogue_and_leave_course_zero_out",
    ),
    ("4.3", "history_count", CONVERSATIONS, "test_a_course_counts_what_is_shown"),
    ("4.4", "favorite, shape, trimming", CONVERSATIONS, "test_a_favourite_is_listed_trimmed_until_it_is_none_any_more"),
    ("4.4", "1,000", CONVERSATIONS, "test_favourites_are_at_most_1000"),
    ("4.4", "feedback", CONVERSATIONS, "test_feedback_keeps_text_thumb_and_what_it_is_about"),
    ("4.5", "a conversation", CONVERSATIONS, "test_renaming_a_conversation_renames_all_its_records_in_the_place"),
    ("4.5", "a favourite", CONVERSATIONS, "test_renaming_a_favourite_by_id_and_a_falsy_name_removes_it"),
    ("4.5", "course_id 0", CONVERSATIONS, "test_course_zero_is_the_unassigned_bucket"),
    ("4.5", "one mode, 400", CONVERSATIONS, NO_TARGET),
    ("4.5", "course_name required", CONVERSATIONS, "test_a_conversation_needs_a_name"),
    ("4.5", "403", RULES, "test_who_is_no_active_member_gets_403_for_a_conversation_there"),
    ("4.5", "another's", RULES, "test_a_conversation_of_somebody_else_is_none_of_ones_own"),
    ("4.6", "one target, 400", CONVERSATIONS, NO_TARGET),
    ("4.6", "403", RULES, "test_who_is_no_active_member_gets_403_for_a_conversation_there"),
    (
        "4.6",
        "soft; favourites detached",
        CONVERSATIONS,
        "test_clearing_a_conversation_forgets_it_and_detaches_favourites",
    ),
    ("4.6", "one record", CONVERSATIONS, "test_clearing_one_record_forgets_it_once"),
    ("4.6", "clearAll", RULES, "test_clearall_of_older_clients_clears_nothing"),
    ("4.7", "each field", CONVERSATIONS, "test_thinking_is_fetched_apart_and_lists_only_count_it"),
    ("4.7", "empty", CONVERSATIONS, "test_details_of_a_record_without_any_are_empty"),
    ("4.7", "whose", RULES, "test_thinking_is_told_to_its_owner_alone_in_a_list_that_may_be_empty"),
    ("4.7", "segments", "vault/test_urls.py", "test_sources_are_told_as_they_stand_now"),
    ("4.8", "read aloud", RULES, "test_reading_aloud_is_not_there_and_says_so"),
    ("4.9", "create", RULES, "test_a_conversation_exists_when_its_first_turn_is_saved"),
    ("4.9", "public page", RULES, "test_no_dialogue_is_public_by_its_id"),
    ("4.9", "share", SHARING, "test_a_link_shows_the_conversation_as_it_was_without_signing_in"),
    ("4.9", "a deleted one", SHARING, "test_a_link_ends_with_what_it_rests_on"),
    ("4.9", "export", SHARING, "test_a_conversation_is_exported_as_markdown"),
]

CONTENT_2: list[tuple[str, str, str, str]] = [
    ("2.1", "each field", FIELDS, "test_an_assistant_keeps_the_field"),
    ("2.1", "each default", FIELDS, "test_an_assistant_has_the_default_of_the_field"),
    ("2.1", "name required", ASSISTANTS, "test_what_makes_no_assistant_is_named"),
    ("2.1", "name unique", ASSISTANTS, "test_a_name_is_unique_per_user_and_institution"),
    ("2.1", "instructions withheld", ASSISTANTS, SYSTEM_TEXT),
    ("2.1", "status", FIELDS, "test_status_is_one_of_four"),
    ("2.1", "liked_count", ASSISTANTS, "test_a_like_counts_once"),
    ("2.1", "admin_only", ASSISTANTS, "test_admin_only_is_visible_to_administrators_alone"),
    (
        "2.1",
        "editable_others",
        ASSISTANTS,
        "test_editable_others_lets_others_edit_what_it_says_and_nothing_else",
    ),
    ("2.1", "remember_history, bounds", FIELDS, "test_remember_history_is_0_to_15"),
    ("2.1", "remember_history", ASSISTANTS, "test_remember_history_of_the_assistant_goes_before_the_persons"),
    ("2.1", "ragEnabled, conversationModel", ASSISTANTS, "test_a_turn_runs_under_what_its_assistant_says"),
    (
        "2.1",
        "bypassSystemContext",
        "engine/test_golden_prompts.py",
        "test_the_prompt_is_word_for_word_what_is_written_down",
    ),
    ("2.1", "ragCollections", "vault/test_search.py", "test_an_assistant_searches_its_folders_and_those_below"),
    ("2.1", "assistantToolMode", FIELDS, "test_assistanttoolmode_all_offers_what_the_twin_offers"),
    (
        "2.1",
        "instructionsOverride",
        FIELDS,
        "test_assistanttoolmode_selected_offers_the_chosen_ones_with_their_instructionsoverride",
    ),
    ("2.1", "tool, by id", FIELDS, "test_a_tool_of_assistanttools_may_be_said_by_its_id"),
    ("2.1", "argument_1 to 4", ASSISTANTS, "test_argument_1_to_4_are_removed_from_every_row"),
    ("2.1", "user, institution", FIELDS, "test_user_and_institution_are_owner_and_twin"),
    ("2.1", "denormalised", FIELDS, "test_user_data_institution_data_and_account_data_are_for_display"),
    ("2.2", "kinds", ASSISTANTS, "test_type_filters"),
    ("2.2", "system ones", ASSISTANTS, "test_system_assistants_are_made_by_super_alone"),
    (
        "2.2",
        "system ones of our own",
        "services/test_first_run.py",
        "test_the_first_question_is_answered_on_every_face",
    ),
    ("2.2", "sharing by flags", ASSISTANTS, "test_sharing_is_for_administrators"),
    ("2.3", "type", ASSISTANTS, "test_type_filters"),
    ("2.3", "name", ASSISTANTS, "test_name_looks_in_name_and_description_whatever_the_case_and_is_no_pattern"),
    ("2.3", "limit", ASSISTANTS, "test_limit"),
    ("2.3", "each field", FIELDS, "test_the_list_tells_the_field"),
    ("2.3", "1: union", ASSISTANTS, "test_the_list_is_the_union_of_what_is_visible"),
    ("2.3", "2: deleted", ASSISTANTS, "test_deleted_ones_are_always_left_out"),
    ("2.3", "3: unpublished", ASSISTANTS, "test_unpublished_ones_of_others_are_left_out"),
    ("2.3", "4: not shared", FIELDS, "test_not_shared_ones_of_others_are_left_out"),
    ("2.3", "5: disabled", ASSISTANTS, "test_ones_that_the_institution_has_disabled_are_left_out"),
    ("2.3", "6: instructions", ASSISTANTS, SYSTEM_TEXT),
    ("2.3", "7: arguments", ASSISTANTS, "test_argument_1_to_4_are_removed_from_every_row"),
    ("2.4", "each field", FIELDS, "test_an_assistant_keeps_the_field"),
    ("2.5", "who may", ASSISTANTS, "test_get_is_for_owner_administrator_and_super"),
    ("2.6", "nothing required", ASSISTANTS, "test_update_takes_what_older_clients_repeat_and_leaves_the_rest"),
    ("2.6", "who may", FIELDS, "test_an_administrator_needs_the_entitlement_assistants_edit_to_change_anothers"),
    ("2.7", "soft, who may", ASSISTANTS, DELETING),
    (
        "2.7",
        "one's own data",
        "transports/test_personal_data.py",
        "test_parts_of_the_personal_space_are_erased_for_good",
    ),
    ("2.8", "list, minimum, institution", ASSISTANTS, "test_the_administrations_list_is_of_the_twins_one_administers"),
    ("2.8", "each field", FIELDS, "test_the_administrations_list_tells_the_field"),
    ("2.8", "assistants.list", FIELDS, "test_an_administrator_needs_the_entitlement_assistants_list"),
    ("2.8", "assistants.add", FIELDS, "test_an_administrator_needs_the_entitlement_assistants_add_to_share_a_new_one"),
    (
        "2.8",
        "assistants.edit",
        FIELDS,
        "test_an_administrator_needs_the_entitlement_assistants_edit_to_change_anothers",
    ),
    ("2.8", "assistants.delete", ASSISTANTS, DELETING),
    ("2.9", "order", FIELDS, "test_which_assistant_answers"),
    ("2.9", "header", FIELDS, "test_on_chat_completions_a_header_names_the_assistant"),
]
